"""Secrets of webhooks: two are valid while one takes the place of the other, and no restart is needed for that."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from config.secrets import SecretRef
from deployments.receiver import tokens as module
from deployments.receiver.tokens import GOOD_SECONDS, RETRY_SECONDS, Tokens, refs_of
from tasks.core.errors import Transient
from tests.unit.receiver.receivers import TOKEN, World, hub

DOWN = Transient("Prefect", "read it", "no answer", "wait")
ROTATING = hub(authorization={"env": "NEW"}, retiring={"env": "OLD"})
LAB = frozenset({"lab"})


def tokens_of(world: World) -> Tokens:
    return Tokens({one.name: refs_of(one) for one in world.hubs}, world.secret, lambda: world.clock)


def asked(world: World, *steps: str | Callable[[], None]) -> Iterator[frozenset[str]]:
    """What each header opens, in turn; a step that is none happens in between."""

    async def talk() -> list[frozenset[str]]:
        tokens, found = tokens_of(world), list[frozenset[str]]()
        for step in steps:
            if isinstance(step, str):
                found.append(await tokens.hubs_for(step.encode()))
            else:
                step()
        return found

    return iter(asyncio.run(talk()))


def test_while_one_takes_the_place_of_the_other_both_are_valid() -> None:
    world = World([ROTATING], {"NEW": "new-secret", "OLD": "old-secret"})
    assert [*asked(world, "new-secret", "old-secret", "other", "new-secret ")] == [LAB, LAB, frozenset(), frozenset()]


def test_a_retired_secret_that_is_gone_already_harms_nobody() -> None:
    assert [*asked(World([ROTATING], {"NEW": "new-secret"}), "new-secret", "")] == [LAB, frozenset()]


def test_a_new_secret_is_found_by_the_request_that_brings_it_and_the_old_one_ends() -> None:
    world = World(secrets={"FIRST": "old-secret"})

    def change() -> None:
        world.secrets["FIRST"] = "new-secret"
        world.clock += RETRY_SECONDS

    assert [*asked(world, "old-secret", change, "new-secret", "old-secret")] == [LAB, LAB, frozenset()]


def test_a_secret_that_was_taken_away_ends_within_a_minute() -> None:
    world = World(secrets={"FIRST": "secret"})

    def take() -> None:
        world.secrets.clear()
        world.clock += GOOD_SECONDS - 1

    def later() -> None:
        world.clock += 1

    assert [*asked(world, "secret", take, "secret", later, "secret")] == [LAB, LAB, frozenset()]


def test_forgeries_do_not_have_secrets_read_again_and_again() -> None:
    world = World()
    assert {*asked(world, *["forged"] * 200)} == {frozenset()}
    assert world.secret_reads == 1


def test_all_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(module, "hmac", SimpleNamespace(compare_digest=compare))
    world = World([ROTATING], {"NEW": "new-secret", "OLD": "old-secret"})
    assert [*asked(world, "new-secret")] == [LAB]
    assert compared == [(b"new-secret", b"new-secret"), (b"old-secret", b"new-secret")]


def run(read: Callable[[SecretRef], SecretStr], talk: Callable[[Tokens], Awaitable[None]]) -> None:
    async def main() -> None:
        await talk(Tokens({"lab": refs_of(ROTATING)}, read))

    asyncio.run(main())


def test_nobody_is_turned_away_while_a_secret_cannot_be_read() -> None:
    def read(ref: SecretRef) -> SecretStr:
        if ref.env == "NEW":
            raise DOWN
        return SecretStr("old-secret")

    async def talk(tokens: Tokens) -> None:
        assert await tokens.hubs_for(b"old-secret") == LAB
        with pytest.raises(Transient, match="no answer"):
            await tokens.hubs_for(b"new-secret")

    run(read, talk)


def test_a_secret_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.02)

    def read(_ref: SecretRef) -> SecretStr:
        time.sleep(0.1)
        return SecretStr("secret")

    async def talk(tokens: Tokens) -> None:
        with pytest.raises(Transient, match="not within"):
            await tokens.hubs_for(b"secret")
        monkeypatch.setattr(module, "READ_SECONDS", 10.0)
        assert await tokens.hubs_for(b"secret") == LAB

    run(read, talk)


def test_whoever_waits_for_secrets_waits_for_one_reading() -> None:
    read: list[SecretRef] = []

    def slowly(ref: SecretRef) -> SecretStr:
        read.append(ref)
        time.sleep(0.02)
        return SecretStr("secret")

    async def talk(tokens: Tokens) -> None:
        assert {*await asyncio.gather(*[tokens.hubs_for(b"secret") for _ in range(50)])} == {LAB}

    run(slowly, talk)
    assert len(read) == 2


def test_secrets_are_read_beforehand_and_what_could_not_be_is_read_later() -> None:
    world, broken = World(), [True]

    def read(ref: SecretRef) -> SecretStr:
        if broken:
            raise DOWN
        return world.secret(ref)

    async def main() -> None:
        tokens = Tokens({"lab": refs_of(world.hubs[0])}, read, lambda: world.clock)
        await tokens.warm()
        with pytest.raises(Transient):
            await tokens.hubs_for(TOKEN.encode())
        broken.clear()
        world.clock += RETRY_SECONDS
        assert await tokens.hubs_for(TOKEN.encode()) == LAB
        assert world.secret_reads == 1

    asyncio.run(main())


def test_no_secret_is_in_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = World([ROTATING], {"OLD": "marker-secret"})
    next(asked(world, "other"))
    assert "environment variable NEW" in caplog.text
    assert "marker" not in caplog.text
