"""Man pages are made from command lines."""

import argparse

import pytest

from deploy.packaging import manual


@pytest.mark.parametrize(
    ("text", "roff"),
    [
        ("plain", "plain"),
        ("--json", r"\-\-json"),
        (".toml first\n'quoted'", "\\&.toml first\n\\&'quoted'"),
        (r"a\b…", r"a\eb..."),
    ],
)
def test_no_text_becomes_a_command_of_roff(text: str, roff: str) -> None:
    assert manual._plain(text) == roff


def test_a_page_has_options_verbs_and_the_closing_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    parser = argparse.ArgumentParser(
        prog="tool", description="Do things.\n\nAll of them.", epilog="examples:\n  tool go\nend"
    )
    parser.add_argument("--size", type=int, default=3, metavar="N", help="how large (%(default)s)")
    go = parser.add_subparsers().add_parser("go", description="Go there.")
    go.add_argument("where", choices=("here", "there"), help="the place")
    page = "".join(manual._page(parser, 1, "other(1)"))
    for part in (
        '.TH TOOL 1 "2023-11-14"',
        ".SH NAME\ntool \\- Do things\n",
        ".SH DESCRIPTION\nAll of them.\n",
        "\\fB\\-\\-size\\fR \\fIN\\fR\nhow large (3)\n",
        '.SS "go"\nGo there.\n',
        "\\fI{here,there}\\fR\nthe place\n",
        ".SH EXAMPLES\n.nf\n  tool go\nend\n.fi\n",
        ".SH SEE ALSO\nother(1)\n",
    ):
        assert part in page
