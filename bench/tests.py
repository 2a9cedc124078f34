"""Tests of what needs no machine: `python3 -m unittest bench.tests`, part of `cargo xtask check`."""
import pathlib
import tempfile
import unittest
import xml.etree.ElementTree

from .figure import Figure
from .measure import ALL, idle
from .method import least, ratio, ratio_of
from .plot import COLOURS, Chart, colour_of, short
from .tracing import Trace

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.03    0.101000           5     20100        12 recvfrom
 38.97    0.064500           3     20000           writev
------ ----------- ----------- --------- --------- ----------------
100.00    0.165500           4     40100        12 total
"""


class Method(unittest.TestCase):
    def test_a_score_is_the_ratio_of_minima_beside_the_median_of_rounds(self):
        self.assertEqual(ratio_of([4, 2, 9], [8, 4, 3]), {"ratio": 2 / 3, "median": 0.5})

    def test_costs_of_all_processes_count(self):
        samples = {"ours": [{"cpu_us": [3, 1]}, {"cpu_us": [1, 2]}], "theirs": [{"cpu_us": [6]}, {"cpu_us": [12]}]}
        self.assertEqual(least(samples["ours"]), {"cpu_us": [1, 2]})
        self.assertEqual(ratio(samples, "ours", "theirs")["ratio"], 0.5)


class Verdict(unittest.TestCase):
    def check(self, value, verdict, **wanted):
        self.assertEqual(Figure("what", value, "text", **wanted).verdict, verdict)

    def test_each_side_of_bar_and_stretch(self):
        self.check(0.5, "beyond the stretch", bar=0.8, stretch=0.5)
        self.check(0.8, "reached", bar=0.8, stretch=0.5)
        self.check(0.9, "**missed**", bar=0.8, stretch=0.5)
        self.check(0.9, "reached", bar=0.8, stretch=0.95, more_is_better=True)
        self.check(0.7, "**missed**", bar=0.8, more_is_better=True)
        self.check(0.7, "")


class Parts(unittest.TestCase):
    def test_strace_counts_are_read_with_and_without_errors(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "out"
            file.write_text(STRACE)
            self.assertEqual(Trace(file).counts(), {"recvfrom": 20100, "writev": 20000})

    def test_every_idle_socket_is_shared_out_once(self):
        for n_http1 in (0, 1, 7_000, 19_000, idle.N_MANY):
            shares = idle.split(["a", "b", "c"], n_http1)
            self.assertEqual(sum(plain for _service, plain, _http2 in shares), n_http1)
            self.assertEqual(sum(plain + http2 for _service, plain, http2 in shares), idle.N_MANY)

    def test_a_chart_is_xml_whatever_the_names(self):
        svg = Chart("a < b & c", "µs", {"1 & 2": {"nginx": 1.0, "<wharf>": 0.0}, "": {}}).svg()
        xml.etree.ElementTree.fromstring(svg)

    def test_each_target_keeps_its_colour(self):
        self.assertEqual(colour_of("wharf, short way, TLS"), COLOURS[""])
        self.assertEqual(colour_of("two nginx, TLS between"), COLOURS["two nginx, TLS between"])
        self.assertEqual(colour_of("nginx, TLS"), COLOURS["nginx"])

    def test_three_digits_count(self):
        self.assertEqual([short(value) for value in (1234.5, 123.4, 12.34, 1.234)], ["1,234", "123", "12.3", "1.23"])

    def test_each_measurement_has_all_its_parts(self):
        for name, module in ALL.items():
            for part in ("TITLE", "measure", "figures", "details", "charts", "__doc__"):
                self.assertTrue(getattr(module, part, None), f"{name} has no {part}")


if __name__ == "__main__":
    unittest.main()
