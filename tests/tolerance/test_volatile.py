"""What is never compared, what only looks like it, and what a terminal shows of a progress bar."""

import pytest

from nbval_tolerance.volatile import Volatile, fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Keras's log, with verbose=2 (both of its forms) and verbose=1
        ("422/422 - 36s - 85ms/step - loss: 0.2", "422/422 - 4s - 9ms/step - loss: 0.2"),
        ("422/422 - 1s - loss: 0.2 - 1s/epoch - 3ms/step", "422/422 - 12s - loss: 0.2 - 12s/epoch - 28ms/step"),
        ("422/422 ━━━━━━━━━ 1s 2ms/step - loss: 0.2", "422/422 ━━━━━━━━━ 10s 24ms/step - loss: 0.2"),
        ("9/9 [=====] - 1s 20us/step - loss: 0.2", "9/9 [=====] - 0s 2ms/step - loss: 0.2"),
        # IPython's %%time and %timeit
        (
            "CPU times: user 1.2 s, sys: 20 ms, total: 1.22 s\nWall time: 1.3 s",
            "CPU times: user 1min 2s, sys: 1.1 ms, total: 1min 2s\nWall time: 59.9 s",
        ),
        (
            "1.23 ms ± 45.6 μs per loop (mean ± std. dev. of 7 runs, 1,000 loops each)",
            "980 µs ± 2 ns per loop (mean ± std. dev. of 7 runs, 10,000 loops each)",
        ),
        # tqdm
        ("100%|███| 100/100 [00:08<00:00, 12.30it/s]", "100%|███| 100/100 [1:00:08<00:00,  1.30s/it]"),
        ("10it [00:03, 3.20it/s]", "10it [00:00, ?it/s]"),
        ("took 1.2 s", "took 36 s"),
        ("took 1.2s", "took 1e-05s"),
        ("took 36s", "took 5s"),
        ("done (12s)", "done (9s)"),
        ("in 0:06", "in 1:13:06"),
        ("in 1m 3s", "in 2h 5min 3.2s"),
        ("4.2 seconds, 12.5 MB/s", "10 seconds, 3.1 MB/s"),
        ("1,200 images/s", "980.4 images/s"),
        ("loss 0.2   1.2 s", "loss 0.2 100.3 s"),  # aligned by blanks
        ("<Model object at 0x7f0998ab5250>", "<Model object at 0x10be3a>"),
        ("/tmp/ipykernel_12/345.py:1: UserWarning", "/var/ipykernel_9/6.py:1: UserWarning"),
        ("/home/a/.venv/lib/site-packages/x.py:3: W", "/usr/lib/python3/dist-packages/x.py:3: W"),
    ],
)
def test_volatile_parts_are_hidden(one, other):
    assert Volatile().hide(one) == Volatile().hide(other)


@pytest.mark.parametrize(
    "text",
    ["422/422 - loss: 0.2", "the 5s and the 8s of the 90s", "x[1:10]", "2009-01-01 00:00:00", "2009-01-01T12:30:00",
     "3 min, 0.5 max", "9.81 m/s, 2.5 S", "Python 3.11, 16:9:2", "0x7f0998ab5250", "10 images, 3 steps", "100%|█| 9/9"],
)  # fmt: skip
def test_what_only_looks_volatile_is_compared(text):
    assert Volatile().hide(text) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [("durations", "1.2 s"), ("clock", "0:06"), ("addresses", "at 0x7f09aa"), ("paths", "/a/ipykernel_1/2.py")],
)
def test_each_kind_can_be_switched_off(kind, text):
    assert Volatile().hide(text) != text
    assert Volatile(compared=[kind]).hide(text) == text


def test_own_patterns():
    hide = Volatile(patterns=[r"^Date: .*$", r"run-\d+"]).hide
    assert hide("a\nDate: Tue\nrun-7") == hide("a\nDate: Wed\nrun-8") != hide("b\nDate: Tue\nrun-7")


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("1/2\r2/2\n", "2/2\n"),
        ("abc\rX", "Xbc"),  # overwritten, not erased
        ("ab\b\bcd", "cd"),
        ("\b\ba", "a"),
        ("10 left\r9 left \n", "9 left\n"),  # blanks that erase leave no trace
        ("a\r\nb", "a\nb"),
        ("\x1b[1m2/2\x1b[0m \x1b[32m━━\x1b[0m", "2/2 ━━"),
        ("a  \nb", "a  \nb"),  # nothing to fold
        ("\x1b[1m1/2\x1b[0m 9s\b\b\b\b\b\b\r\x1b[1m2/2\x1b[0m 0s 3ms/step", "2/2 0s 3ms/step"),  # as Keras prints
    ],
)
def test_a_terminal_shows_the_end_of_it(printed, shown):
    assert fold(printed) == shown


def test_long_text_is_quick():
    Volatile().hide("a" * 200_000 + " " * 20_000 + "1" * 20_000)
    Volatile().hide("data:" + "x/1" * 50_000)
