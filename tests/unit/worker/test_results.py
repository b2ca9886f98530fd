from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from noteflow.infrastructure.queue.codec import Codec, Kwargs, codec_of, deserialize
from worker.results import result_serializer

SAID = "the merger is called Bluebird"
MEETING = uuid4()


def result(args: object = (), kwargs: object = None) -> dict[str, object]:
    envelope = {"t": 1, "f": "ingest_segments", "a": args, "k": {} if kwargs is None else kwargs, "et": 1}
    return {**envelope, "s": True, "r": None, "st": 1, "ft": 2, "q": "arq:queue", "id": "1"}


def test_a_result_keeps_ids_states_and_numbers_and_nothing_that_was_said() -> None:
    kept = {"meeting_id": str(MEETING), "state": "RECORDING", "sequence": 3}
    kwargs = {**kept, "segments": [{"text": SAID}], "speaker": "Bluebird", "body": SAID.encode(), "share": 0.5}
    read = deserialize(result_serializer(result(kwargs=kwargs)))
    assert read["k"] == kept


def test_what_stands_by_its_position_keeps_its_position() -> None:
    read = deserialize(result_serializer(result(args=(str(MEETING), [{"text": SAID}], SAID, 7))))
    assert read["a"] == [str(MEETING), None, None, 7]


@pytest.mark.parametrize("codec", list(Codec))
def test_a_result_is_written_in_the_codec_in_which_its_job_came(codec: Codec) -> None:
    written = result_serializer(result(kwargs=Kwargs({"meeting_id": MEETING, "text": SAID}, codec)))
    assert codec_of(written) is codec
    assert UUID(str(deserialize(written, allow_pickle=True)["k"]["meeting_id"])) == MEETING


@pytest.mark.parametrize(("args", "kwargs"), [(SAID, SAID), (None, [SAID]), (7, 7)])
def test_arguments_of_no_known_shape_are_left_out(args: object, kwargs: object) -> None:
    read = deserialize(result_serializer(result(args, kwargs)))
    assert (read["a"], read["k"]) == ([], {})


def test_a_job_is_written_whole() -> None:
    job: dict[str, object] = {"t": None, "f": "ingest_segments", "a": [], "k": {"segments": [{"text": SAID}]}, "et": 1}
    assert deserialize(result_serializer(job)) == job
