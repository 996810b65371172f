"""What waits at the same time is done together: one transaction, one round, serves them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Together(Generic[A, R]):
    """Gathers what is asked while the last round runs, and asks it in the next.

    One round at a time, `pause` seconds apart; each waits for its own answer alone. `act` answers
    in the order asked; an exception among its answers is raised to the one who asked.
    """

    def __init__(
        self,
        act: Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]],
        pause: float = 0,
    ) -> None:
        self._act, self._pause = act, pause
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, one: A) -> R:
        """Return the answer to `one`; the first who asks starts a round at once."""
        answered: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answered))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._rounds(), name="together")
        return await answered

    async def _rounds(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, []
            for (_, answered), answer in zip(asked, await self._answers(asked), strict=True):
                if answered.done():  # whoever asked is gone
                    continue
                if isinstance(answer, Exception):
                    answered.set_exception(answer)
                else:
                    answered.set_result(answer)
            if self._pause:
                await asyncio.sleep(self._pause)

    async def _answers(
        self, asked: Sequence[tuple[A, asyncio.Future[R]]]
    ) -> Sequence[R | Exception]:
        try:
            return await self._act([one for one, _ in asked])
        except Exception as error:  # raised again by each who asked
            return [error] * len(asked)
