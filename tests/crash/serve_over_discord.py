"""Runs `verso serve` with the Discord SDK pointed at a stand-in: REST base and gateway come as arguments."""

from __future__ import annotations

import sys

import discord
import yarl

from bot.cli import run

rest, gateway = sys.argv[1:3]
discord.http.Route.BASE = rest
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
sys.exit(run(["serve"]))
