"""firmware.coap.links: RFC 6690, and what servers make of it."""

from firmware.coap.links import discover, parse
from firmware.coap.message import decode
from host_tests.firmware.coap_helpers import make_client, reply

# RFC 6690 section 5, its lines joined as they are sent.
RFC_6690 = (
    (
        '</sensors/temp>;if="sensor",</sensors/light>;if="sensor"',
        [("/sensors/temp", {"if": "sensor"}), ("/sensors/light", {"if": "sensor"})],
    ),
    (
        '</sensors>;ct=40;title="Sensor Index",</t>;anchor="/sensors/temp";rel="alternate",'
        '<http://www.example.com/sensors/t123>;anchor="/sensors/temp";rel="describedby"',
        [
            ("/sensors", {"ct": "40", "title": "Sensor Index"}),
            ("/t", {"anchor": "/sensors/temp", "rel": "alternate"}),
            (
                "http://www.example.com/sensors/t123",
                {"anchor": "/sensors/temp", "rel": "describedby"},
            ),
        ],
    ),
    (
        '</firmware/v2.1>;rt="firmware";sz=262144',
        [("/firmware/v2.1", {"rt": "firmware", "sz": "262144"})],
    ),
)


def test_the_examples_of_rfc_6690():
    for text, links in RFC_6690:
        assert parse(text.encode()) == links
        assert parse(memoryview(text.encode())) == links


def test_what_separates_and_what_does_not():
    for text, links in (
        ("", []),
        ("<>", [("", {})]),
        ("</a>", [("/a", {})]),
        ("</a>,</b>", [("/a", {}), ("/b", {})]),
        ("</a;b,c>;d", [("/a;b,c", {"d": ""})]),
        ('</a>;t="x,y;z"', [("/a", {"t": "x,y;z"})]),
        ('</a>;t="<"', [("/a", {"t": "<"})]),
        (r'</a>;t="say \"x\", \\";u=1', [("/a", {"t": 'say "x", \\', "u": "1"})]),
        (r'</a>;t="\\",</b>', [("/a", {"t": "\\"}), ("/b", {})]),
        (r'</a>;t="x\",y",</b>', [("/a", {"t": 'x",y'}), ("/b", {})]),
        (r'</a>;t="x\\\",y",</b>', [("/a", {"t": 'x\\",y'}), ("/b", {})]),
        (r"</a\>,</b>", [("/a\\", {}), ("/b", {})]),
        ("</aX>;X=Y", [("/aX", {"x": "Y"})]),
        ("</a%2Fb>", [("/a%2Fb", {})]),
        (
            "</\u00e4>;title*=UTF-8'de'x;title=\"\u00fc\"",
            [("/\u00e4", {"title*": "UTF-8'de'x", "title": "\u00fc"})],
        ),
    ):
        assert parse(text.encode()) == links, text


def test_what_no_rfc_allows():
    for text, links in (
        ("  </a> ; rt = x ,\n </b> ;obs; ", [("/a", {"rt": "x"}), ("/b", {"obs": ""})]),
        (",,</a>,,", [("/a", {})]),
        ("</a>;;=x;;obs", [("/a", {"obs": ""})]),
        ("garbage,</a>,/b,<c", [("/a", {})]),
        ("</a", []),
        ('</a>;t="never ends,</b>', [("/a", {"t": "never ends,</b>"})]),
        ("</a>;RT=x;rt=y", [("/a", {"rt": "x"})]),
        ('</a>;t="x"y', [("/a", {"t": "x"})]),
        ("</a>;rt=a=b", [("/a", {"rt": "a=b"})]),
    ):
        assert parse(text.encode()) == links, text
    assert parse(b"</a>\xff;t=\xe4x,</b>") == [("/a", {"t": "x"}), ("/b", {})]
    assert parse(b"</a>;t=\x7f\x80") == [("/a", {"t": "\x7f"})]
    # ThingsBoard's.
    assert parse(b"</api>,</api/v1>;obs,</fw>;obs")[1] == ("/api/v1", {"obs": ""})


def test_discovery():
    requests = []

    def server(datagram):
        requests.append(decode(memoryview(datagram)).options)
        return [(1, reply(datagram, 0x45, [(12, b"\x28")], b"</a>;obs"))]

    client, _ = make_client(server)
    assert client.drive(discover(client)).links == [("/a", {"obs": ""})]
    client.drive(discover(client, "rt=temperature*"))
    path = [(11, b".well-known"), (11, b"core")]
    assert requests == [path, path + [(15, b"rt=temperature*")]]
    client, _ = make_client(lambda datagram: [(1, reply(datagram, 0x84))])
    response = client.drive(discover(client))
    assert response.code == 0x84 and response.links == []
