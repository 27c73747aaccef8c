"""The progress board: lossy, latest wins, from any thread."""

from __future__ import annotations

import asyncio
import threading

from generation.progress import ProgressBoard, ProgressUpdate


def news(step: int, preview: bytes | None = None, job_id: str = "j") -> ProgressUpdate:
    return ProgressUpdate(job_id=job_id, step=step, steps=9, preview_png=preview)


def test_only_the_latest_counts_but_a_preview_stays() -> None:
    board = ProgressBoard()
    assert board.latest("j") is None
    board.publish(news(1, b"first"))
    board.publish(news(2))
    assert board.latest("j") == news(2, b"first")
    board.publish(news(3, b"second"))
    assert board.latest("j") == news(3, b"second")
    board.close("j")
    assert board.latest("j") is None
    board.close("j")


async def test_a_slow_watcher_skips_what_it_missed() -> None:
    board = ProgressBoard()
    board.publish(news(0))
    seen = []
    async for update in board.watch("j"):
        seen.append(update.step)
        if update.step == 9:
            break
        for step in range(update.step + 1, update.step + 4):
            board.publish(news(step))
    assert seen == [0, 3, 6, 9]


async def test_any_thread_may_publish_and_closing_ends_the_watching() -> None:
    board = ProgressBoard()

    def work() -> None:
        for step in range(10):
            board.publish(news(step))
        board.publish(news(5, job_id="another"))
        board.close("j")

    async def watch() -> list[int]:
        return [update.step async for update in board.watch("j")]

    watchers = [asyncio.create_task(watch()) for _ in range(3)]
    await asyncio.sleep(0)
    thread = threading.Thread(target=work)
    thread.start()
    for steps in await asyncio.wait_for(asyncio.gather(*watchers), 10):
        assert steps == sorted(steps)
    thread.join()
    assert board.latest("another").step == 5


async def test_a_watcher_that_leaves_is_forgotten() -> None:
    board = ProgressBoard()
    watching = board.watch("j")
    board.publish(news(1))
    assert (await anext(watching)).step == 1
    await watching.aclose()
    assert board._watchers == {}


def test_a_watcher_of_a_closed_loop_harms_nobody() -> None:
    board = ProgressBoard()

    async def leave() -> None:
        watching = board.watch("j")
        board.publish(news(1))
        await anext(watching)
        board._watchers["kept"] = set(board._watchers["j"])
        await watching.aclose()

    asyncio.run(leave())
    board.publish(news(2, job_id="kept"))
    assert board.latest("kept").step == 2
