"""How many timbres there are, and what moves the number: another recording, joins, teaching, *Auto*, one or a band."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

import amtsep.clustering
from amtsep.clustering import TimbreEstimate
from amtsep.config import CleanUp, Clustering
from amtsep.inference import Transcriber, available_models, networks_of
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from widgets.panels.timbres import Timbres
from widgets.state.session import Session

SECONDS = 12.0


def with_timbres(count: int) -> tuple[Notes, Posteriors]:
    """A tune whose notes, in bands of pitch, have so many timbres; and its posteriors."""
    import synthetic

    notes = synthetic.melody(SECONDS)
    plain = synthetic.perfect(notes, SECONDS)
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.normal(size=(12, 12)))[0][:count]
    bands = np.array_split(np.unique(notes.pitch), count)
    which = np.zeros(88, int)
    for band, pitches in enumerate(bands):
        which[pitches - 21] = band
    values = centres[which][:, None, :] + 0.15 * rng.normal(size=(*plain.frame.shape, 12))
    values /= np.linalg.norm(values, axis=2, keepdims=True)
    embedding = np.round(values * 127).astype(np.int8)
    return notes, Posteriors(
        plain.onset, plain.frame, plain.spectrogram, plain.hop_s, plain.duration_s, embedding=embedding
    )


@pytest.fixture
def three() -> Session:
    import synthetic

    from amtsep.audio import load_audio

    notes, posteriors = with_timbres(3)
    session = Session()
    session.show(load_audio(synthetic.wav_bytes(synthetic.sound(notes, SECONDS)), name="three.wav"), posteriors)
    session.set_timbres(3)
    assert len(seen(session)) == 3
    return session


def seen(session: Session) -> list[int]:
    """Tracks that hold notes."""
    return sorted(set(session.notes.track.tolist()))


def names(session: Session) -> list[str]:
    return [row["name"] for row in Timbres(session).rows]


def of_track(session: Session, track: int) -> np.ndarray:
    return np.flatnonzero(session.notes.track == track)


def test_another_recording_inherits_thresholds_and_tidy_and_not_the_number(three, recording, transcriber) -> None:
    three.set_decoding(onset_threshold=0.45)
    three.set(clean_up=CleanUp(strength=0.4))
    three.open(recording, name="next.wav")
    three.wait(60)
    assert three.audio.name == "next.wav"
    assert three.state.clustering.timbres is None
    assert (three.state.decoding.onset_threshold, three.state.clean_up.strength) == (0.45, 0.4)


def test_tidy_that_was_moved_while_the_network_listened_counts(three, recording, transcriber, monkeypatch) -> None:
    prepare = three._prepare

    def moved_meanwhile(*args, **more):
        prepared = prepare(*args, **more)
        three.set(clean_up=CleanUp(strength=0.4))
        return prepared

    monkeypatch.setattr(three, "_prepare", moved_meanwhile)
    three.open(recording, name="next.wav")
    three.wait(60)
    assert three.audio.name == "next.wav"
    assert three.state.clean_up.strength == 0.4


def test_a_number_given_before_the_first_recording_counts(recording, transcriber) -> None:
    session = Session()
    session.set_timbres(2)
    session.open(recording, name="first.wav")
    session.wait(60)
    assert session.state.clustering.timbres == 2


def test_after_a_join_names_have_no_gap_and_the_number_is_one_less(three) -> None:
    gone, into = of_track(three, 1), of_track(three, 0)
    three.merge(1, 0)
    assert names(three) == ["Timbre 1", "Timbre 2"]
    assert Timbres(three).about["wanted"] == 2
    assert set(three.notes.track[np.r_[gone, into]].tolist()) == {0}


def test_a_join_outlives_steps_of_the_number(three) -> None:
    joined = np.r_[of_track(three, 0), of_track(three, 1)]
    three.merge(1, 0)
    for number in (3, 2):
        three.set_timbres(number)
        assert len(seen(three)) == number
    assert len(set(three.notes.track[joined].tolist())) == 1
    three.undo()
    three.undo()
    three.undo()
    assert len(seen(three)) == 3 and three.state.clustering.timbres == 3


def test_teaching_a_new_track_counts(three) -> None:
    three.set_timbres(1)
    high = np.flatnonzero(three.notes.pitch > 70)
    three.assign(high[:3], 1)
    assert Timbres(three).about["wanted"] == 2
    assert len(seen(three)) == 2
    assert set(three.notes.track[high[:3]].tolist()) == {1}
    assert three.notes.track[high].mean() > 0.8, "what sounds alike goes along"


def test_a_track_that_is_emptied_by_hand_goes_for_good(three) -> None:
    three.assign(of_track(three, 2), 0)
    assert seen(three) == [0, 1]
    assert Timbres(three).about["wanted"] == 2
    three.set_decoding(onset_threshold=0.45)
    assert len(seen(three)) == 2


def test_dropping_corrections_parts_what_was_joined(three) -> None:
    three.merge(1, 0)
    three.drop_edits()
    assert len(seen(three)) == 3


def test_auto_does_not_jump_where_two_numbers_are_nearly_as_probable(three, monkeypatch) -> None:
    chances = {
        0.49: (0.5, 0.1, 0.1, 0.3),
        0.48: (0.3, 0.1, 0.1, 0.5),
        0.47: (0.4, 0.1, 0.1, 0.4),
        0.3: (0.1, 0.0, 0.0, 0.9),
    }
    at = [0.49]

    def estimate(notes: Notes, settings: Clustering, **_known: object) -> TimbreEstimate:
        chance = chances[at[0]]
        return TimbreEstimate(int(np.argmax(chance)) + 1, chance, chance, chance, chance)

    monkeypatch.setattr(amtsep.clustering, "estimate_timbres", estimate)
    three.set_timbres(None)
    counts = []
    for threshold in chances:
        at[0] = threshold
        three.set_decoding(onset_threshold=threshold)
        counts.append(three.grouping.timbres)
    assert counts == [1, 1, 1, 4], "only what is far more probable moves it"
    at[0] = 0.47
    three.undo()
    assert three.grouping.timbres == 1, "undo goes back to what was there"
    three.redo()
    at[0] = 0.48
    again = Session()
    again.open_saved(io.BytesIO(three.saved()), "s.amtsep")
    again.wait(60)
    assert again.grouping.timbres == three.grouping.timbres == 4, "and so does a session file"


def test_a_band_has_at_least_two(three) -> None:
    one = Session()
    notes, posteriors = with_timbres(1)
    one.show(three.audio, posteriors)
    assert one.grouping.timbres == 1
    one.set_timbres(None, at_least=2)
    assert one.grouping.timbres >= 2
    assert one.grouping.probability[0] == 0.0
    assert Timbres(one).about["at_least"] == 2


def test_silence_is_not_put_down_to_the_network() -> None:
    import synthetic

    from amtsep.audio import load_audio
    from amtsep.posteriors import encode_db
    from widgets.panels.roll import spectrogram_picture

    notes, posteriors = with_timbres(2)
    nothing = Posteriors(
        np.zeros_like(posteriors.onset),
        np.zeros_like(posteriors.frame),
        encode_db(np.full(posteriors.spectrogram.shape, -120.0, np.float32)),
        posteriors.hop_s,
        posteriors.duration_s,
        embedding=posteriors.embedding,
    )
    session = Session()
    session.show(load_audio(synthetic.wav_bytes(np.zeros(22050 * 12, np.float32)), name="silence.wav"), nothing)
    about = Timbres(session).about
    assert about["available"] and not about["heard"]
    assert spectrogram_picture(nothing).max() == 0, "an empty roll, not an evenly lit one"


def test_the_number_is_a_trait_to_observe_and_to_set(three) -> None:
    timbres = Timbres(three)
    seen_counts = []
    timbres.observe(lambda change: seen_counts.append(change["new"]), "count")
    timbres.count = 2
    assert len(seen(three)) == 2 and three.state.clustering.timbres == 2
    three.set_timbres(3)
    assert timbres.count == 3 and seen_counts[-1] == 3


def test_another_colour_is_taken_from_the_track_that_had_it(three) -> None:
    before = [view.color for view in three.state.tracks]
    timbres = Timbres(three)
    timbres._receive(timbres, {"do": "track", "index": 0, "values": {"color": before[1]}}, [])
    after = [view.color for view in three.state.tracks]
    assert after[0] == before[1] and after[1] == before[0] and after[2] == before[2]
    three.undo()
    assert [view.color for view in three.state.tracks] == before


def test_another_network_listens_again_and_corrections_stay(session, monkeypatch) -> None:
    from widgets.panels.thresholds import Thresholds
    from widgets.state import cache

    n = len(session.notes)
    session.delete(np.array([0]))
    notes, posteriors = with_timbres(2)
    monkeypatch.setattr(cache, "transcriber", lambda model, device: lambda audio, **how: posteriors)
    panel = Thresholds(session)
    other = next(name for name in panel.network["models"] if name != session.model)
    panel._receive(panel, {"do": "model", "value": other}, [])
    session.wait(60)
    assert session.model == panel.network["name"] == other
    assert session.grouping.available and len(session.notes) == n - 1
    assert session.unsaved, "what was corrected is still in no file"
    session.undo()
    assert len(session.notes) == n


def test_a_sound_of_the_bank_is_guessed_and_another_network_guesses_nothing(session) -> None:
    from amtsep.clustering.sounds import sounds, suggest_programs

    (weights, *_), programs, vectors = sounds()
    clarinet, violin = (int(np.flatnonzero(programs == program)[0]) for program in (71, 40))
    embedding = np.repeat(vectors[[clarinet, violin]], 3, axis=0)
    rng = np.random.default_rng(0)
    embedding = embedding + 0.03 * rng.normal(size=embedding.shape)
    notes = Notes.build(
        np.arange(6), np.arange(6) + 0.9, [60, 62, 64, 65, 67, 69], track=[0, 0, 0, 1, 1, 1], embedding=embedding
    )
    assert [guess[0] for guess in suggest_programs(notes)] == [71, 40]
    far = Notes.build([0.0], [1.0], [60], embedding=-vectors.mean(axis=0, keepdims=True))
    assert suggest_programs(far) == [[]]
    session.posteriors, session.notes = replace(session.posteriors, model=f"one's own export {weights}"), notes
    assert [row["guess"][0] for row in Timbres(session).rows] == [71, 40]
    session.posteriors, session.notes = replace(session.posteriors, model="base 0123456789ab"), notes
    assert all(row["guess"] == [] for row in Timbres(session).rows)


def test_a_sound_is_guessed_by_what_the_network_itself_says_where_notes_are_encoded(session) -> None:
    from amtsep.clustering.sounds import sounds
    from amtsep.decoding import embed_notes

    (weights, *_), programs, vectors = sounds()
    clarinet = vectors[int(np.flatnonzero(programs == 71)[0])]
    level = np.full((88, 400), 0.5, np.float32)
    posteriors = Posteriors(
        level,
        level,
        np.zeros((306, 400), np.uint8),
        256 / 22050,
        400 * 256 / 22050,
        embedding=np.tile(np.round(127 * clarinet).astype(np.int8), (88, 400, 1)),
        model=f"base {weights}",
    )
    notes = embed_notes(Notes.build([0.0, 1.0, 2.0], [0.9, 1.9, 2.9], [60, 62, 64]), posteriors)
    assert notes.embedding.shape[1] > vectors.shape[1]
    session.posteriors = posteriors
    session.notes = notes
    assert Timbres(session).rows[0]["guess"][0] == 71


@pytest.mark.parametrize("model", [name for name in available_models() if name != "light"])
def test_a_bank_of_sounds_is_that_of_the_network_that_ships(model: str) -> None:
    from amtsep.clustering.sounds import bank_for, sounds

    bank = bank_for(Transcriber(model, device="cpu", threads=1).engine.name)
    assert bank is not None, "run tools/sounds.py"
    # Behind them may stand networks of before, with the same embedding.
    assert sounds(bank)[0][:2] == tuple(networks_of(model)), "run tools/sounds.py"
