"""Right messages that look wrong (RFC 4475 3.1.1, 3.2 to 3.4, RFC 5118).

In: nothing. Out: `CASES`. Counterparts: `torture.py`, which plays them; `torture_invalid.py`, which
has wrong ones. The words in capitals are filled in when a message is played. One character is one
byte.
"""

from tests.farm.torture import Case, Challenged, Passes, Refused, Silence, message

_LONG = "a-very-long-value." * 12
_TREE = f"<sip:{'user-of-many-letters-' * 8}@example.org;{'parameter' * 20}={_LONG}>"

CASES = (
    Case(
        name="folded, compact and spaced out",
        source="4475 3.1.1.1",
        text=message(
            "INVITE sip:bob@FARM;unknown=here SIP/2.0",
            "TO :",
            ' sip:bob@FARM ;   x = "quoted; <not a uri>"',
            'from   : "O\\"Neill the \\\\ First " <sip:stranger@example.org>',
            "  ;",
            "  tag = FROM",
            "max-forwards: 0068",
            "Call-ID: CALL",
            "Content-Length   : LENGTH",
            "CSeq  :   0009   INVITE",
            "vIA  : SIP  / 2.0",
            " /UDP",
            "    HERE;branch=BRANCH;rport",
            "s :",
            "NewFangledHeader:   newfangled value",
            " continued newfangled value",
            "UnknownHeaderWithUnusualValue: ;;,,;;,;",
            "Content-Type: application/sdp",
            "v:  SIP  / 2.0  / TCP     upstream.example.org   ;",
            "  branch  =   z9hG4bK9ikj8  ,",
            " SIP  /    2.0   / UDP  192.0.2.2   ; branch=",
            " z9hG4bK30239",
            'm:"Quoted \\"string\\"" <sip:stranger@HERE>; newparam = new ; second ; q = 0.33',
            body="v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\n",
        ),
        expect=Passes(),
    ),
    Case(
        name="a method, a user and parameters of all the characters that there may be",
        source="4475 3.1.1.2",
        text=message(
            "!interesting-Method0123456789_*+`.%indeed'~ "
            "sip:bob:pas$wo~d_too.(doesn't-it)@FARM SIP/2.0",
            "Via: SIP/2.0/UDP HERE;branch=BRANCH.!%66*_+`'~;rport",
            'To: "BEL: NUL: DEL:" '
            "<sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.org>",
            "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.org>"
            ";fromParam''~+*_!.-%=\"\xd1\x80\xd0\xb0\xd0\xb1\";tag=_token~1'+`*%!-.",
            "Call-ID: CALL%ZK-!.*_+'`{}[]?()~",
            "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~",
            "Max-Forwards: 255",
            "extensionHeader-._+~:\xef\xbb\xbf\xe5\xa4\xa7\xe5\x81\x9c\xe9\x9b\xbb",
        ),
        expect=Passes(method="!interesting-Method0123456789_*+`.%indeed'~"),
    ),
    Case(
        name="a user that is escaped",
        source="4475 3.1.1.3",
        text=message(
            "INVITE sip:b%6Fb@FARM SIP/2.0",
            "To: <sip:%75se%72@example.org>",
            "From: <sip:I%20have%20spaces@example.org>;tag=FROM",
            standard=True,
        ),
        expect=Passes(),
    ),
    Case(
        name="a user that is a URI when unescaped is nobody, and that URI is not called",
        source="4475 3.1.1.3",
        text=message("INVITE sip:sip%3Abob%40FARM@FARM SIP/2.0", standard=True),
        expect=Refused(404),
    ),
    Case(
        name="an escaped NUL is nobody's name",
        source="4475 3.1.1.4",
        text=message("INVITE sip:bob%00@FARM SIP/2.0", standard=True),
        expect=Refused(404),
    ),
    Case(
        name="a CSeq in two lines",
        source="4475 3.1.1.1",
        text=message("INVITE sip:bob@FARM SIP/2.0", "CSeq: 9", "  INVITE", standard=True),
        expect=Silence(kamailio="takes it for wrong"),
    ),
    Case(
        name="a header field's name of all the characters that there may be",
        source="4475 3.1.1.2",
        text=message("INVITE sip:bob@FARM SIP/2.0", "X-!.%*+_`'~: x", standard=True),
        expect=Silence(kamailio="takes ! % * ` and ' in names of header fields for wrong"),
    ),
    Case(
        name="an escape in a method is a part of its name",
        source="4475 3.1.1.5",
        text=message(
            "RE%47IST%45R sip:FARM SIP/2.0",
            'To: "%Z%45" <sip:resource@example.org>',
            'From: "%Z%45" <sip:resource@example.org>;tag=FROM',
            "Contact: <sip:alias2@host2.example.org>",
            standard=True,
        ),
        expect=Refused(405),
    ),
    Case(
        name="no space between a name and its bracket",
        source="4475 3.1.1.6",
        text=message(
            "OPTIONS sip:bob@FARM SIP/2.0",
            "From: caller<sip:caller@example.org>;tag=FROM",
            standard=True,
        ),
        expect=Passes(method="OPTIONS"),
    ),
    Case(
        name="long values, and many of them",
        source="4475 3.1.1.7",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0",
            f'To: "A user name of {"extreme " * 12}length" <sip:bob@FARM;{"longname" * 8}=x>',
            f"F: sip:{'amazinglylong' * 10}@example.org;tag=FROM{'9' * 50};{'name' * 40}={_LONG}",
            f"Call-ID: CALL{'reallylongcallid' * 8}",
            f"Unknown-{'Long' * 20}-Name: unknown-{'long' * 20}-value;unknown={_LONG}",
            "Via: SIP/2.0/UDP HERE;branch=BRANCH;rport",
            *(f"Via: SIP/2.0/TCP sip{n}.example.org;branch=z9hG4bK{n}" for n in range(33, 0, -1)),
            f"Contact: {_TREE}",
            standard=True,
        ),
        expect=Passes(),
    ),
    Case(
        name="another request behind the end of the message is no request",
        source="4475 3.1.1.8",
        text=message("OPTIONS sip:FARM SIP/2.0", standard=True)
        + message("INVITE sip:bob@FARM SIP/2.0", standard=True),
        over=("udp",),
        expect=Refused(200, and_nothing_passes=True),
    ),
    Case(
        name="more bytes than promised are for the callee to cut off",
        source="3261 18.3",
        text=message("MESSAGE sip:bob@FARM SIP/2.0", "Content-Length: 5", standard=True)
        + "Hello and goodbye",
        over=("udp",),
        expect=Passes(method="MESSAGE"),
    ),
    Case(
        name="semicolons, question marks and an @ in the user part",
        source="4475 3.1.1.9",
        text=message("OPTIONS sip:user;par=u%40example.net@FARM SIP/2.0", standard=True),
        expect=Refused(404),
    ),
    Case(
        name="transports in Via that nobody knows",
        source="4475 3.1.1.10",
        text=message(
            "OPTIONS sip:bob@FARM SIP/2.0",
            "Via: SIP/2.0/UDP HERE;branch=BRANCH;rport",
            "Via: SIP/2.0/SCTP t2.example.org;branch=z9hG4bKklasjdhf",
            "Via: SIP/2.0/TLS t3.example.org;branch=z9hG4bK2980unddj",
            "Via: SIP/2.0/UNKNOWN t4.example.org;branch=z9hG4bKasd0f3en",
            "Via: SIP/2.0/TCP t5.example.org;branch=z9hG4bK0a9idfnee",
            standard=True,
        ),
        expect=Passes(method="OPTIONS"),
    ),
    Case(
        name="a body of several parts, with bytes that are no text",
        source="4475 3.1.1.11",
        text=message(
            "MESSAGE sip:bob@FARM SIP/2.0",
            'Content-Type: multipart/mixed;boundary="7a9cbec02ceef655"',
            standard=True,
            body="--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
            "--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\n\r\n"
            "\x00\x01\x02\xff\xfe\r\n\r\n\x80\x00\r\n--7a9cbec02ceef655--\r\n",
        ),
        expect=Passes(method="MESSAGE"),
    ),
    Case(
        name="a branch that is the magic cookie and nothing else",
        source="4475 3.2.1",
        text=message(
            "OPTIONS sip:bob@FARM SIP/2.0",
            "Via: SIP/2.0/UDP HERE;branch=z9hG4bK;rport",
            standard=True,
        ),
        expect=Passes(method="OPTIONS"),
    ),
    Case(
        name="a body that the farm does not know",
        source="4475 3.3.6",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0",
            "Content-Type: application/unknownformat",
            standard=True,
            body="<audio><pcmu port='443'/></audio>",
        ),
        expect=Passes(),
    ),
    Case(
        name="a name that is not UTF-8 in Contact, which only its reader can be troubled by",
        source="3261 7.3.1",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0", 'Contact: "\xff\xfe" <sip:x@HERE>', standard=True
        ),
        expect=Passes(),
    ),
    Case(
        name="an authorization of a scheme that nobody knows is none",
        source="4475 3.3.7",
        text=message(
            "REGISTER sip:FARM SIP/2.0",
            "To: <sip:bob@FARM>",
            "From: <sip:bob@FARM>;tag=FROM",
            "Contact: <sip:bob@HERE>",
            "Authorization: NoOneKnowsThisScheme opaque-data=here",
            standard=True,
        ),
        expect=Challenged(then=0),
    ),
    Case(
        name="a Date in a zone that there is not",
        source="4475 3.1.2.12",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0", "Date: Fri, 01 Jan 2010 16:00:00 EST", standard=True
        ),
        expect=Passes(),
    ),
    Case(
        name="no hop left, for the farm itself",
        source="4475 3.3.11",
        text=message("OPTIONS sip:FARM SIP/2.0", "Max-Forwards: 0", standard=True),
        expect=Refused(200, 483),
    ),
    Case(
        name="a parameter of the Contact that nobody knows",
        source="4475 3.3.12",
        text=message(
            "REGISTER sip:FARM SIP/2.0",
            "To: <sip:torture@FARM>",
            "From: <sip:torture@FARM>;tag=FROM",
            "Contact: <sip:torture@HERE>;unknownparam=whatever;expires=60",
            standard=True,
        ),
        expect=Challenged(then=200),
    ),
    Case(
        name="a parameter of the Contact's URI that nobody knows is kept",
        source="4475 3.3.13",
        text=message(
            "REGISTER sip:FARM SIP/2.0",
            "To: <sip:torture@FARM>",
            "From: <sip:torture@FARM>;tag=FROM",
            "Contact: <sip:torture@HERE;unknownparam>",
            standard=True,
        ),
        expect=Challenged(then=200, told="<sip:torture@HERE;unknownparam>"),
    ),
    Case(
        name="an INVITE without what RFC 3261 added to RFC 2543",
        source="4475 3.4.1",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0",
            "Via: SIP/2.0/UDP HERE",
            "From: <sip:stranger@example.org>",
            standard=True,
            without=("max-forwards",),
        ),
        over=("udp",),
        expect=Passes(),
    ),
    Case(
        name="an Accept that leaves no way to answer",
        source="4475 3.3.15",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0", "Accept: text/nobody-knows-this", standard=True
        ),
        expect=Passes(),
    ),
    Case(
        name="addresses of IPv6 wherever they may stand",
        source="5118 4.1, 4.4, 4.6 to 4.9",
        text=message(
            "INVITE sip:bob@FARM SIP/2.0",
            "From: <sip:stranger@[2001:db8::10]>;tag=FROM",
            "Via: SIP/2.0/UDP HERE;branch=BRANCH;rport",
            "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111",
            "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19",
            "Contact: <sip:stranger@[2001:db8::10]:5070>",
            "Content-Type: application/sdp",
            standard=True,
            body="v=0\r\no=- 1 1 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 ::ffff:192.0.2.10\r\n",
        ),
        expect=Passes(),
    ),
    Case(
        name="a received of IPv6 without brackets",
        source="5118 4.5",
        text=message(
            "OPTIONS sip:bob@FARM SIP/2.0",
            "Via: SIP/2.0/UDP HERE;branch=BRANCH;rport",
            "Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3-111",
            standard=True,
        ),
        expect=Passes(method="OPTIONS"),
    ),
    Case(
        name="an address that ends like a port is none of the farm's",
        source="5118 4.3",
        text=message("REGISTER sip:[2001:db8::10:5070] SIP/2.0", standard=True),
        expect=Refused(403),
    ),
)
