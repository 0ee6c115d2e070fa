# SPDX-License-Identifier: Apache-2.0
"""Which process is alive: told by a lock that goes with its process, whatever its end was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from privyseal.adapters.files import write_atomically
from privyseal.adapters.instance import Instance


def test_a_living_instance_is_not_gone_and_a_closed_one_is(tmp_path: Path) -> None:
    first, second = Instance(tmp_path), Instance(tmp_path)
    assert first.name != second.name
    assert not first.is_gone(first.name)
    assert not first.is_gone(second.name)
    second.close()
    assert first.is_gone(second.name)
    assert first.is_gone("neverexisted")
    first.close()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_is_gone_and_its_lock_file_goes_too(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, Instance(tmp_path).name.encode())
        signal.pause()
        os._exit(1)
    name = os.read(reading, 64).decode()
    observer = Instance(tmp_path)
    assert not observer.is_gone(name)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert observer.is_gone(name)
    assert not (tmp_path / f"{name}.lock").exists()
    assert observer.is_gone(name)
    observer.close()
    os.close(reading)
    os.close(writing)


def test_where_machines_share_a_store_one_without_a_lock_here_may_live_elsewhere(tmp_path: Path) -> None:
    here, other = Instance(tmp_path, alone=False), Instance(tmp_path, alone=False)
    assert not here.is_gone("elsewhere")
    assert here.others() == (other.name,)
    (tmp_path / "killed.lock").touch()
    assert here.is_gone("killed")
    assert here.is_gone("killed")  # as often as it is asked, since it left several reservations
    assert here.others() == (other.name,)
    other.close()
    assert here.others() == ()
    os.utime(tmp_path / "killed.lock", (0, 0))
    assert here.is_gone("killed")
    assert not (tmp_path / "killed.lock").exists()
    here.close()


def test_a_file_is_replaced_whole_and_leaves_no_remains(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"second, longer", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
