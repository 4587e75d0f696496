"""firmware.onboarding.page: what it shows of strangers is harmless, and it is small."""

import sys

from firmware.onboarding import page
from firmware.onboarding.look import POLICY, SCRIPT, STYLE
from firmware.onboarding.text_de import TEXTS as GERMAN
from firmware.onboarding.text_en import TEXTS as ENGLISH
from host_tests.firmware.helpers import skip
from host_tests.firmware.world import Stub

SERVER = ["server", "deviceName", "provisionDeviceKey", "provisionDeviceSecret"]
# Of what the page has words for, all that explains and is no field.
STATES = [each for each in ENGLISH if each + "?" in ENGLISH and each + "!" not in ENGLISH]
# It is the portal's.
STATES.remove("scanning")
NETWORKS = [
    (40, b"Home & <b>\"Garden\"</b> 'x'", 3),
    (41, b"Guest", 0),
    (60, b"<script>alert(1)</script>", 3),
    (61, b"Guest", 3),
    (70, "K\u00fcche \U0001f321".encode(), 5),
    (75, b"\xff" * 32, 3),
    (76, b"", 3),
    (77, b"\0\0\0", 3),
    (78, b"\x1b[2J\x07", 3),
    (80, "\u202egnp.exe".encode(), 3),
    (81, b"\xed\xa0\xbc\xc0\xbc", 3),
]


def portal(state="idle", **changes):
    """Return a portal in a state, with a candidate of its own."""
    candidate = Stub(
        state=state, asked=[], lacks_wifi=True, lacks_server=True, ssid="Home", name="sensor-1"
    )
    made = Stub(
        candidate=candidate,
        networks=NETWORKS,
        ssid="firstboot-c3d4e5",
        token="0011223344556677",
        chosen=None,
        wrong=(),
        wants_scan=False,
        board=Stub(id="a1b2c3d4e5f6"),
    )
    for name in changes:
        setattr(candidate if hasattr(candidate, name) else made, name, changes[name])
    return made


def shown(made, language="en"):
    return b"".join(page.render(made, language)).decode()


def test_every_state_in_every_language():
    for language, texts in (("en", ENGLISH), ("de", GERMAN)):
        for state in STATES:
            text = shown(portal(state), language)
            assert '<html lang="%s">' % language in text
            assert text.count("<h1>") == text.count("<main ") == 1
            about = "<bdi>%s</bdi>" % ("sensor-1" if state == "provisioned" else "Home")
            for key in (state, state + "?"):
                expected = texts[key] % about if "%s" in texts[key] else texts[key]
                assert expected in text, (state, key)
            is_busy = state in page.BUSY
            assert ("<form " in text) != is_busy
            assert ('http-equiv="refresh"' in text) == (
                is_busy and state not in ("apart", "provisioned")
            )


def test_while_networks_are_looked_for_the_page_waits():
    text = shown(portal(wants_scan=True))
    assert ENGLISH["scanning"] in text and "<form " not in text
    assert 'data-again="2"' in text and 'http-equiv="refresh"' in text
    # What is tried goes on.
    assert ENGLISH["scanning"] not in shown(portal("trying", wants_scan=True))


def test_the_languages_say_the_same_things():
    assert set(ENGLISH) == set(GERMAN)
    for key in ENGLISH:
        english, german = ENGLISH[key], GERMAN[key]
        if isinstance(english, str):
            assert english.count("%") == german.count("%") == english.count("%s") <= 1, key
            assert "<" not in english + german, key
        else:
            assert len(english) == len(german)


def test_the_language_is_the_first_that_there_is():
    for accepted, expected in (
        ("", "en"),
        ("de-de,de;q=0.9,en;q=0.8", "de"),
        ("en-us,en;q=0.9,de;q=0.8", "en"),
        ("fr-fr,fr;q=0.9,de;q=0.5", "de"),
        ("fr", "en"),
        ("*", "en"),
        (" de", "de"),
    ):
        assert page.language(accepted) == expected, accepted


def test_names_of_strangers_are_harmless():
    text = shown(portal())
    assert "alert(1)" in text and "<script>alert" not in text
    assert "Home &amp; &lt;b&gt;&quot;Garden&quot;&lt;/b&gt; &#39;x&#39;" in text
    assert "\\xff" * 32 in text
    assert "\\x1b[2J\\x07" in text and "\x1b" not in text
    assert "\\x202egnp.exe" in text and "\u202e" not in text
    text.encode()
    assert "K\u00fcche \U0001f321" in text
    for name in ("chosen", "ssid"):
        for state in STATES:
            made = portal(state, **{name: b"<script>alert(2)</script>\xff"})
            assert "<script>alert" not in shown(made)


def test_each_network_once_the_strongest_and_none_without_a_name():
    text = shown(portal())
    assert text.count('name="network"') == len(NETWORKS) - 3 + 1
    assert text.count("<bdi>Guest</bdi>") == 1
    assert "data-open" in text.split("<bdi>Guest</bdi>")[0].split("<label")[-1]
    many = portal(networks=[(50, b"network %d" % number, 3) for number in range(100)])
    assert shown(many).count('name="network"') == 21


def test_what_a_network_s_button_sends_is_its_name_whatever_it_is():
    for _, name, _ in NETWORKS:
        if name.strip(b"\0"):
            assert 'value="%s"' % name.hex() in shown(portal())
            assert page.name_of(name.hex().encode()) == name
    for other in (b"", b"x", b"abc", b"zz", b"other"):
        assert page.name_of(other) is None


def test_what_was_chosen_is_chosen_again():
    text = shown(portal("wrong password", chosen=b"Guest"))
    (row,) = [row for row in text.split("<label") if " checked>" in row]
    assert "<bdi>Guest</bdi>" in row
    text = shown(portal("not in range", chosen=b"Hidden & mine"))
    (row,) = [row for row in text.split("<label") if " checked>" in row]
    assert "Another network" in row
    assert 'value="Hidden &amp; mine"' in text


def test_where_the_board_has_joined_no_network_need_be_chosen():
    for state in ("refused", "no answer"):
        for chosen in (b"Guest", b"Hidden"):
            assert " checked" not in shown(portal(state, chosen=chosen, lacks_wifi=False))


def test_what_may_stay_need_not_be_given():
    text = shown(portal("refused", asked=SERVER, lacks_wifi=False))
    assert text.count(" required") == len(SERVER) and ENGLISH["kept"] not in text
    text = shown(portal("refused", asked=SERVER, lacks_wifi=False, lacks_server=False))
    assert " required" not in text and ENGLISH["kept"] in text
    # It would be a part of it.
    assert 'value="device-' not in text


def test_what_is_asked_for_has_a_field_and_its_mistake():
    assert 'name="server"' not in shown(portal())
    text = shown(portal("does not fit", asked=SERVER, wrong=SERVER + ["ssid", "password"]))
    assert text.count('aria-invalid="true"') == 6
    for key in SERVER + ["ssid", "password"]:
        assert 'name="%s"' % key in text
        assert 'for="%s"' % key in text and ' id="%s"' % key in text
        assert ENGLISH[key + "!"] in text and ENGLISH[key + "?"] not in text
    # Never what was sent.
    for name in ("password", "provisionDeviceKey", "provisionDeviceSecret"):
        field = text.split('name="%s"' % name)[1].split(">")[0]
        assert "value=" not in field


def test_a_phone_knows_what_the_password_field_is():
    field = shown(portal()).split('name="password"')[1].split(">")[0]
    for expected in (
        'type="password"',
        'autocomplete="current-password"',
        'autocapitalize="none"',
        'autocorrect="off"',
        'spellcheck="false"',
    ):
        assert expected in field


def test_nothing_comes_from_elsewhere():
    for state in STATES:
        text = shown(portal(state, asked=SERVER))
        text = text.replace("coap://thingsboard.example.com", "")
        for foreign in ("http://", "https://", "//", " src=", "url(", "@import"):
            assert foreign not in text, foreign
    assert "default-src 'none'" in POLICY and "unsafe" not in POLICY
    assert POLICY.count("sha256-") == 2


def test_the_style_and_the_script_are_the_policy_s():
    if sys.implementation.name == "micropython":
        skip("its regular expressions are on CPython")
    import re

    text = shown(portal())
    assert re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1] == STYLE.decode()
    assert re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1] == SCRIPT.decode()
    assert not re.search(r"\son[a-z]+=", text.replace(SCRIPT.decode(), ""))
    assert " style=" not in text


def test_it_has_less_than_eight_kilobytes_compressed():
    if sys.implementation.name == "micropython":
        skip("it need not compress")
    import gzip

    networks = [(40 + n, b"A name of 32 bytes, network %4d" % n, 3) for n in range(30)]
    for language in ("en", "de"):
        made = portal("does not fit", networks=networks, asked=SERVER, wrong=SERVER)
        assert len(gzip.compress(shown(made, language).encode())) < 8000
