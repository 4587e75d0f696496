"""What the page says in German; firmware.onboarding.text_en says what each is for."""

TEXTS = {
    "title": "Gerät verbinden",
    "Wi-Fi": "das WLAN",
    "networks": "WLAN auswählen",
    "other": "Anderes Netz",
    "secured": "mit Passwort",
    "open": "ohne Passwort",
    "signal": ("schwaches Signal", "gutes Signal", "starkes Signal"),
    "ssid": "Name des Netzes",
    "ssid?": "Genau so, wie er geschrieben wird, auch groß und klein",
    "ssid!": "Wählen Sie ein Netz, oder geben Sie seinen Namen ein: höchstens 32 Zeichen",
    "password": "WLAN-Passwort",
    "password?": "Bei einem Netz ohne Passwort leer lassen",
    "password!": "Dieses Netz verlangt ein Passwort mit 8 bis 64 Zeichen",
    "show": "Zeigen",
    "hide": "Verbergen",
    "asked": "Ihr Server",
    "kept": "Alles leer lassen, um zu behalten, was Sie eingegeben haben.",
    "server": "Adresse des Servers",
    "server?": "Zum Beispiel coap://thingsboard.example.com",
    "server!": "Hier gehört eine Adresse hin wie coap://thingsboard.example.com",
    "deviceName": "Name dieses Geräts",
    "deviceName?": "Kein anderes Ihrer Geräte heißt so",
    "deviceName!": "Hier gehört ein Name hin, höchstens 255 Zeichen",
    "provisionDeviceKey": "Provision key",
    "provisionDeviceKey?": "Aus dem Geräteprofil in ThingsBoard",
    "provisionDeviceKey!": "Hier gehört der Schlüssel aus dem Geräteprofil hin",
    "provisionDeviceSecret": "Provision secret",
    "provisionDeviceSecret?": "Von derselben Stelle",
    "provisionDeviceSecret!": "Hier gehört das Geheimnis aus dem Geräteprofil hin",
    "connect": "Verbinden",
    "again": "Noch einmal suchen",
    "private": "Was Sie eingeben, bleibt auf diesem Gerät; auslesen kann es hier niemand.",
    "lost": "Keine Verbindung zum Gerät. Hat Ihr Handy das Netz „%s“ verlassen, wählen Sie es noch"
    " einmal aus.",
    "idle": "Gerät verbinden",
    "idle?": "Wählen Sie Ihr WLAN und geben Sie sein Passwort ein. Der Rest geht von allein.",
    "scanning": "Suche Netze",
    "scanning?": "Das dauert ein paar Sekunden.",
    "trying": "Verbinde mit %s",
    "trying?": "Das kann eine halbe Minute dauern. Bleiben Sie auf dieser Seite, auch wenn sich"
    " nichts zu tun scheint.",
    "joined": "Verbunden mit %s",
    "joined?": "Das Gerät meldet sich bei seinem Server.",
    "apart": "Verbunden mit %s",
    "apart?": "Seine Adressen sind die gleichen wie im Netz dieses Geräts, das darum jetzt endet."
    " In etwa einer Minute ist es für zwei Minuten wieder da: Wählen Sie es noch einmal aus, und"
    " öffnen Sie diese Seite; sie sagt, wie es ausging.",
    "provisioning": "Verbunden mit %s",
    "provisioning?": "Das Gerät meldet sich bei seinem Server.",
    "provisioned": "Fertig",
    "provisioned?": "Ihr Gerät ist online, angemeldet als %s. Sie können diese Seite schließen: Das"
    " Gerät beendet jetzt sein eigenes Netz, und Ihr Handy kehrt in Ihres zurück.",
    "wrong password": "Das Passwort stimmt nicht",
    "wrong password?": "%s hat es nicht angenommen. Geben Sie es noch einmal ein; Groß und Klein"
    " zählen.",
    "not in range": "Netz nicht gefunden",
    "not in range?": "Das Gerät hört %s nicht. Prüfen Sie den Namen, bringen Sie das Gerät näher an"
    " den Router; es hört nur 2,4 GHz.",
    "security": "Dieses Netz passt nicht",
    "security?": "%s hat eine Verschlüsselung, die das Gerät nicht kennt. WPA2 und WPA3 gehen.",
    "too weak": "Das Signal ist zu schwach",
    "too weak?": "%s lässt das Gerät wieder los. Bringen Sie es näher an den Router.",
    "no address": "Keine Adresse vom Router",
    "no address?": "%s hat das Gerät eingelassen, ihm aber keine Adresse gegeben. Starten Sie den"
    " Router neu, dann versuchen Sie es noch einmal.",
    "not joined": "Es hat nicht geklappt",
    "not joined?": "%s hat das Gerät nicht eingelassen. Prüfen Sie das Passwort und die Entfernung"
    " zum Router.",
    "not saved": "Das Gerät konnte es nicht behalten",
    "not saved?": "Es war in %s, aber sein Speicher ist voll. Fragen Sie, wer Ihnen das Gerät gab.",
    "does not fit": "Bitte noch einmal ansehen",
    "does not fit?": "Unten fehlt etwas, oder es passt nicht.",
    "too long": "Das ist zu viel",
    "too long?": "Was Sie eingegeben haben, ist zu lang für das Gerät. Sehen Sie jedes Feld an und"
    " kürzen Sie es; eine Adresse oder ein Name hat höchstens 255 Zeichen.",
    "outdated": "Bitte noch einmal senden",
    "outdated?": "Das Gerät ist neu gestartet, seit diese Seite geöffnet wurde. Sehen Sie an, was"
    " unten steht, wählen Sie Ihr WLAN noch einmal und senden Sie es.",
    "broken": "Das Gerät hat einen Fehler",
    "broken?": "Es kann seine Einstellungen nicht lesen oder ändern. Nehmen Sie ihm den Strom und"
    " geben Sie ihn wieder; hilft das nicht, fragen Sie, wer Ihnen das Gerät gab.",
    "no answer": "Der Server antwortet nicht",
    "no answer?": "Das Gerät ist in %s und versucht es weiter. Hat dieses WLAN Internet? Sie können"
    " ein anderes wählen.",
    "refused": "Der Server hat abgelehnt",
    "refused?": "Das Gerät ist in %s, aber der Server kennt es nicht. Fragen Sie, wer den Server"
    " betreibt: Der Schlüssel, das Geheimnis oder der Name stimmt nicht.",
}
