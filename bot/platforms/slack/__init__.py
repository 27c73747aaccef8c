"""Slack: slash commands, buttons, modals, a message shortcut and App Home, over Socket Mode or signed HTTP.

Read in this order: `app.py` connects, `listeners.py` hears, `translate.py` turns payloads into commands,
`posting.py` and `private.py` speak, `blocks.py` draws. Import `SlackPlatform` from `app`: this file
loads no SDK.
"""
