"""Wrong messages that a proxy must refuse, and how (RFC 4475 3.1.2, 3.3, RFC 5118).

In: nothing. Out: `CASES`. Counterparts: `torture.py`, which plays them; `torture_valid.py`, which
has messages that only look wrong. Where RFC 4475 leaves a choice to the element, both outcomes are
named.
"""

from tests.farm.torture import Case, Challenged, Closed, Refused, Silence, message

_REGISTER = (
    "REGISTER sip:FARM SIP/2.0",
    "To: <sip:torture@FARM>",
    "From: <sip:torture@FARM>;tag=FROM",
)
_SIP_URI_OF_A_ROUTE = "sip:bob@FARM?Route=%3Csip%3Aoutside.example.org%3Blr%3E"

CASES = (
    Case(
        name="separators without anything between them",
        source="4475 3.1.2.1",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0",
            "Via: SIP/2.0/UDP HERE;branch=BRANCH;rport;;,;,,",
            'Contact: "Joe" <sip:joe@example.org>;;;;',
            standard=True,
        ),
        expect=Silence(kamailio="answers nothing whose Via it cannot read"),
    ),
    Case(
        name="more promised than there is",
        source="4475 3.1.2.2",
        text=message("INVITE sip:bob@FARM SIP/2.0", "Content-Length: 9999", standard=True),
        over=("udp",),
        expect=Refused(400),
    ),
    Case(
        name="less than nothing promised",
        source="4475 3.1.2.3",
        text=message("INVITE sip:bob@FARM SIP/2.0", "Content-Length: -999", standard=True),
        over=("udp",),
        expect=Silence(kamailio="answers nothing whose Content-Length it cannot read"),
    ),
    Case(
        name="less than nothing promised on a connection, where no next message can be found",
        source="4475 3.1.2.3",
        text=message("INVITE sip:bob@FARM SIP/2.0", "Content-Length: -999", standard=True),
        over=("tcp",),
        expect=Closed(),
    ),
    Case(
        name="a CSeq that does not fit",
        source="4475 3.1.2.4",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0", "CSeq: 36893488147419103232 INVITE", standard=True
        ),
        expect=Refused(400),
    ),
    Case(
        name="a Max-Forwards that does not fit",
        source="4475 3.1.2.4",
        text=message("INVITE sip:bob@FARM SIP/2.0", "Max-Forwards: 300000000000", standard=True),
        expect=Refused(400, or_passes=True),
    ),
    Case(
        name="times that do not fit are cut short",
        source="4475 3.1.2.4",
        text=message(
            *_REGISTER,
            "Expires: 10000000000000000000000000000000000000000",
            "Contact: <sip:torture@HERE>;expires=280297596632815",
            standard=True,
        ),
        expect=Challenged(then=200, told="expires=3"),
    ),
    Case(
        name="a quote that does not end",
        source="4475 3.1.2.6",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0", 'To: "Mr. J. User <sip:bob@FARM>', standard=True
        ),
        expect=Silence(kamailio="answers nothing whose To it cannot read"),
    ),
    Case(
        name="brackets around the Request-URI",
        source="4475 3.1.2.7",
        text=message("INVITE <sip:bob@FARM> SIP/2.0", standard=True),
        expect=Refused(400, 416),
    ),
    Case(
        name="a space within the Request-URI",
        source="4475 3.1.2.8",
        text=message("INVITE sip:bob@FARM; lr SIP/2.0", standard=True),
        expect=Refused(400, or_dropped=True),
    ),
    Case(
        name="two spaces between method and URI",
        source="4475 3.1.2.9",
        text=message("INVITE  sip:bob@FARM  SIP/2.0", standard=True),
        expect=Refused(400, or_passes=True, or_dropped=True),
    ),
    Case(
        name="spaces at the end of the first line",
        source="4475 3.1.2.10",
        text=message("OPTIONS sip:bob@FARM SIP/2.0  ", standard=True),
        expect=Refused(400, or_passes=True, or_dropped=True),
    ),
    Case(
        name="header fields in the Request-URI",
        source="4475 3.1.2.11",
        text=message(f"INVITE {_SIP_URI_OF_A_ROUTE} SIP/2.0", standard=True),
        expect=Refused(400, or_passes=True),
    ),
    Case(
        name="header fields in a Contact that is not in brackets",
        source="4475 3.1.2.13",
        text=message(
            *_REGISTER, "Contact: sip:torture@HERE?Route=%3Csip:example.org%3E", standard=True
        ),
        expect=Challenged(then=400),
    ),
    Case(
        name="spaces within the brackets of To",
        source="4475 3.1.2.14",
        text=message("OPTIONS sip:bob@FARM SIP/2.0", 'To: "Bob" < sip:bob@FARM >', standard=True),
        expect=Refused(400, or_passes=True),
    ),
    Case(
        name="a comma in a display name without quotes",
        source="4475 3.1.2.15",
        text=message(
            "OPTIONS sip:bob@FARM SIP/2.0",
            "From: Bell, Alexander <sip:a.g.bell@example.org>;tag=FROM",
            standard=True,
        ),
        expect=Refused(400, or_passes=True),
    ),
    Case(
        name="a version to come",
        source="4475 3.1.2.16",
        text=message(
            "OPTIONS sip:bob@FARM SIP/7.0", "Via: SIP/7.0/UDP HERE;branch=BRANCH", standard=True
        ),
        expect=Refused(505, or_dropped=True),
    ),
    Case(
        name="another method in CSeq",
        source="4475 3.1.2.17",
        text=message("OPTIONS sip:bob@FARM SIP/2.0", "CSeq: 8 INVITE", standard=True),
        expect=Refused(400),
    ),
    Case(
        name="another method in CSeq than one that nobody knows",
        source="4475 3.1.2.18",
        text=message("NEWMETHOD sip:bob@FARM SIP/2.0", "CSeq: 8 INVITE", standard=True),
        expect=Refused(400),
    ),
    Case(
        name="no Call-ID, From and To",
        source="4475 3.3.1",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0",
            "Via: SIP/2.0/UDP HERE;branch=BRANCH;rport",
            "CSeq: 1 INVITE",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ),
        expect=Refused(400, or_dropped=True),
    ),
    Case(
        name="a scheme that nobody knows",
        source="4475 3.3.2",
        text=message("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", standard=True),
        expect=Refused(416),
    ),
    Case(
        name="a scheme that is not SIP's",
        source="4475 3.3.3",
        text=message("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", standard=True),
        expect=Refused(416),
    ),
    Case(
        name="schemes that nobody knows in To, From and Contact",
        source="4475 3.3.4",
        text=message(
            "REGISTER sip:FARM SIP/2.0",
            "To: isbn:2983792873",
            "From: <http://www.example.org>;tag=FROM",
            "Contact: <name:John_Smith>",
            standard=True,
        ),
        expect=Refused(400, 403, 404),
    ),
    Case(
        name="extensions that the farm must know and does not",
        source="4475 3.3.5",
        text=message(
            "OPTIONS sip:bob@FARM SIP/2.0",
            "Proxy-Require: nothingSupportsThis, nothingSupportsThisEither",
            "Require: nothingAtAll",
            standard=True,
        ),
        expect=Refused(420, told="Unsupported: nothingSupportsThis"),
    ),
    Case(
        name="two of what there is one of",
        source="4475 3.3.8",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0",
            "CSeq: 5 INVITE",
            "CSeq: 59 INVITE",
            "Call-ID: CALL",
            "Call-ID: another",
            "From: <sip:one@example.org>;tag=FROM",
            "From: <sip:two@example.org>;tag=other",
            "To: <sip:bob@FARM>",
            "To: <sip:bob@FARM>",
            standard=True,
        ),
        expect=Silence(kamailio="drops what has two of these"),
    ),
    Case(
        name="two lengths",
        source="4475 3.3.9",
        text=message(
            "OPTIONS sip:bob@FARM SIP/2.0",
            "Content-Length: 13",
            "Content-Length: 5",
            "Content-Type: text/plain",
            standard=True,
            body="there is none",
        ),
        over=("udp",),
        expect=Silence(kamailio="drops what has two of these"),
    ),
    Case(
        name="IPv6 without brackets",
        source="5118 4.2",
        text=message("REGISTER sip:2001:db8::10 SIP/2.0", standard=True),
        expect=Refused(400),
    ),
    Case(
        name="three colons in an address",
        source="5118 4.10",
        text=message("OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0", standard=True),
        expect=Refused(400, 403),
    ),
    Case(
        name="bytes that are not UTF-8 where text is asked for",
        source="3261 7.3.1",
        text=message("INVITE sip:b\xffb@FARM SIP/2.0", standard=True),
        expect=Refused(400),
    ),
    Case(
        name="control characters in a name, which the grammar lets stand in quoted pairs",
        source="4475 3.1.1.2",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0", 'To: "BEL:\x07 DEL:\x7f" <sip:bob@FARM>', standard=True
        ),
        expect=Refused(400),
    ),
    Case(
        name="a NUL in the Request-URI",
        source="3261 25.1",
        text=message("INVITE sip:bob\x00@FARM SIP/2.0", standard=True),
        expect=Refused(400, 404, or_dropped=True),
    ),
    Case(
        name="an answer to nothing, with a status that does not fit",
        source="4475 3.1.2.19",
        text=message("SIP/2.0 4294967301 better not break the receiver", standard=True),
        expect=Silence(),
    ),
    Case(
        name="an answer to nothing, with numbers that do not fit",
        source="4475 3.1.2.5",
        text=message(
            "SIP/2.0 503 Service Unavailable",
            "CSeq: 9292394834772304023312 OPTIONS",
            "Retry-After: 949302838503028349304023988",
            standard=True,
        ),
        expect=Silence(),
    ),
    Case(
        name="an answer whose next Via is everybody",
        source="4475 3.3.10",
        text=message(
            "SIP/2.0 200 OK",
            "Via: SIP/2.0/UDP FARM;branch=z9hG4bKnashds7",
            "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK8h",
            standard=True,
        ),
        expect=Silence(),
    ),
)
