"""German sentences against intervals worked out by hand: the second table of the same engine.

Three clocks: a Wednesday in May, the Friday after a leap day, the last evening of a year.
"""

import pytest

from memsieve.timeline import from_spec

MAY, LEAP, YEARS_END = "2023-05-10T13:56", "2024-03-01T08:00", "2022-12-31T22:00"
READER = from_spec("german")

IN_MAY = [
    ("Gestern war ich beim Arzt.", "2023-05-09/2023-05-10"),
    ("Vorgestern hat es geschneit.", "2023-05-08/2023-05-09"),
    ("Wir treffen uns morgen um 15 Uhr.", "2023-05-11T15:00/2023-05-11T15:01"),
    ("Übermorgen fahre ich nach Wien.", "2023-05-12/2023-05-13"),
    ("Heute Morgen habe ich verschlafen.", "2023-05-10T06:00/2023-05-10T12:00"),
    ("Heute früh war es kalt.", "2023-05-10T06:00/2023-05-10T12:00"),
    ("Diesen Morgen war es kalt.", "2023-05-10T06:00/2023-05-10T12:00"),
    ("Heute Abend gehe ich ins Kino.", "2023-05-10T18:00/2023-05-11"),
    ("Gestern Abend gab es Pizza.", "2023-05-09T18:00/2023-05-10"),
    ("Morgen früh muss ich los.", "2023-05-11T06:00/2023-05-11T12:00"),
    ("Letzte Nacht habe ich schlecht geschlafen.", "2023-05-09T18:00/2023-05-10T06:00"),
    ("Am Montag war ich krank.", "2023-05-08/2023-05-09"),
    ("Am Montag werde ich kommen.", "2023-05-15/2023-05-16"),
    ("Am kommenden Montag fahre ich los.", "2023-05-15/2023-05-16"),
    ("Letzten Freitag waren wir essen.", "2023-05-05/2023-05-06"),
    ("Nächsten Freitag ist die Feier.", "2023-05-19/2023-05-20"),
    ("Diesen Freitag ist die Feier.", "2023-05-12/2023-05-13"),
    ("Am Freitagabend war es toll.", "2023-05-05T18:00/2023-05-06"),
    ("Letzten Freitagabend war es toll.", "2023-05-05T18:00/2023-05-06"),
    ("Am Samstagmorgen ging ich laufen.", "2023-05-06T06:00/2023-05-06T12:00"),
    ("Am Dienstagnachmittag kann ich.", "2023-05-16T12:00/2023-05-16T18:00"),
    ("Letztes Wochenende haben wir gegrillt.", "2023-05-06/2023-05-08"),
    ("Nächstes Wochenende fahren wir weg.", "2023-05-20/2023-05-22"),
    ("Am Wochenende war ich in Köln.", "2023-05-06/2023-05-08"),
    ("Letzte Woche hatte ich Urlaub.", "2023-05-01/2023-05-08"),
    ("Nächste Woche fliege ich nach Rom.", "2023-05-15/2023-05-22"),
    ("Vorletzte Woche war ich krank.", "2023-04-24/2023-05-01"),
    ("Übernächste Woche bin ich weg.", "2023-05-22/2023-05-29"),
    ("Vorletzten Sommer waren wir da.", "2021-06-01/2021-09-01"),
    ("Im letzten Monat bin ich umgezogen.", "2023-04-01/2023-05-01"),
    ("Nächstes Jahr heiraten wir.", "2024-01-01/2025-01-01"),
    ("Vor drei Tagen kam der Brief.", "2023-05-07/2023-05-08"),
    ("Vor zwei Wochen war die Prüfung.", "2023-04-26/2023-04-27"),
    ("Vor einem Monat zog sie ein.", "2023-04-01/2023-05-01"),
    ("Vor zehn Jahren wurde er geboren.", "2013-01-01/2014-01-01"),
    ("Vor einer Stunde hat sie angerufen.", "2023-05-10T12:56/2023-05-10T12:57"),
    ("Vor ein paar Tagen sah ich ihn.", "2023-05-05/2023-05-09"),
    ("Vor etwa zwei Jahren zog sie um.", "2021-01-01/2022-01-01"),
    ("Heute vor einem Jahr lernten wir uns kennen.", "2022-05-10/2022-05-11"),
    ("In zwei Wochen bin ich zurück.", "2023-05-24/2023-05-25"),
    ("In einer Stunde bin ich da.", "2023-05-10T14:56/2023-05-10T14:57"),
    ("Heute in einer Woche bin ich weg.", "2023-05-17/2023-05-18"),
    ("Montag in einer Woche habe ich frei.", "2023-05-22/2023-05-23"),
    ("In den letzten zwei Wochen war ich krank.", "2023-04-26/2023-05-10T13:56"),
    ("In den letzten Tagen war es warm.", "2023-05-05/2023-05-10T13:56"),
    ("In den nächsten drei Tagen regnet es.", "2023-05-10T13:56/2023-05-14"),
    ("Am 8. Mai 2023 haben wir geheiratet.", "2023-05-08/2023-05-09"),
    ("Am 3. Oktober ist Feiertag.", "2023-10-03/2023-10-04"),
    ("Der Termin ist am Freitag, den 12. Mai.", "2023-05-12/2023-05-13"),
    ("Am 12.05.2023 um 14:30 Uhr ist Zahnarzt.", "2023-05-12T14:30/2023-05-12T14:31"),
    ("Am 12.5. ist Zahnarzt.", "2023-05-12/2023-05-13"),
    ("Vom 3.4. bis zum 9.4. war ich weg.", "2023-04-03/2023-04-10"),
    ("Vom 3. bis zum 9. April 2023 war ich weg.", "2023-04-03/2023-04-10"),
    ("Zwischen dem 3. und 9. April war ich weg.", "2023-04-03/2023-04-10"),
    ("Von März bis Mai 2023 war ich in Lyon.", "2023-03-01/2023-06-01"),
    ("Von Montag bis Freitag bin ich im Büro.", "2023-05-15/2023-05-20"),
    ("Von 2015 bis 2018 studierte ich.", "2015-01-01/2019-01-01"),
    ("Montag von 9 bis 17 Uhr war ich im Büro.", "2023-05-08T09:00/2023-05-08T17:00"),
    ("Seit dem 1. März arbeite ich dort.", "2023-03-01/.."),
    ("Seit letzter Woche regnet es.", "2023-05-01/.."),
    ("Seit zwei Jahren wohne ich hier.", "2021-01-01/.."),
    ("Ab dem 1. Juni gilt der neue Preis.", "2023-06-01/.."),
    ("Bis Freitag muss das fertig sein.", "../2023-05-13"),
    ("Bis Ende Juni muss das fertig sein.", "../2023-07-01"),
    ("Vor dem 5. Mai war Stress.", "../2023-05-05"),
    ("Nach dem 5. Mai war Ruhe.", "2023-05-06/.."),
    ("Im Mai 1945 endete der Krieg.", "1945-05-01/1945-06-01"),
    ("Im Winter 2018 war es kalt.", "2018-12-01/2019-03-01"),
    ("Nächsten Herbst fange ich an.", "2023-09-01/2023-12-01"),
    ("Anfang Mai war ich krank.", "2023-05-01/2023-05-11"),
    ("Ende letzten Jahres war ich krank.", "2022-09-01/2023-01-01"),
    ("Mitte des Monats kommt das Geld.", "2023-05-11/2023-05-21"),
    ("Ende nächster Woche bin ich zurück.", "2023-05-19/2023-05-22"),
    ("Die erste Hälfte von 2022 war hart.", "2022-01-01/2022-07-01"),
    ("Im ersten Quartal 2023 wuchs der Umsatz.", "2023-01-01/2023-04-01"),
    ("Im 19. Jahrhundert wurde das Haus gebaut.", "1801-01-01/1901-01-01"),
    ("In den 90er Jahren war das normal.", "1990-01-01/2000-01-01"),
    ("In den Achtzigern war das normal.", "1980-01-01/1990-01-01"),
    ("Am ersten Montag im Mai war Markt.", "2023-05-01/2023-05-02"),
    ("Zwei Tage nach Weihnachten wurde sie krank.", "2022-12-27/2022-12-28"),
    ("Die Woche vor Weihnachten war stressig.", "2022-12-18/2022-12-25"),
    ("Am Wochenende nach Ostern fuhren wir los.", "2023-04-15/2023-04-17"),
    ("In der Woche vom 8. Mai war Messe.", "2023-05-08/2023-05-15"),
    ("Silvester 2020 war ruhig.", "2020-12-31/2021-01-01"),
]
AFTER_A_LEAP_DAY = [
    ("Gestern hatte er Geburtstag.", "2024-02-29/2024-03-01"),
    ("Vor einem Jahr war alles anders.", "2023-01-01/2024-01-01"),
    ("Heute vor einem Jahr zog ich ein.", "2023-03-01/2023-03-02"),
    ("Am 29. Februar war sein Geburtstag.", "2024-02-29/2024-03-01"),
    ("Im März war ich in Rom.", "2024-03-01/2024-04-01"),
    ("Im Februar war ich in Rom.", "2024-02-01/2024-03-01"),
    ("Diesen Freitag war Markt.", "2024-03-01/2024-03-02"),
    ("Letzten Winter war es mild.", "2023-12-01/2024-03-01"),
    ("Zu Ostern kommen die Kinder.", "2024-03-31/2024-04-01"),
    ("Am Karfreitag gibt es Fisch.", "2024-03-29/2024-03-30"),
    ("Drei Wochen vor Ostern 2024 kam er an.", "2024-03-10/2024-03-11"),
]
ON_THE_LAST_EVENING = [
    ("Morgen ist Neujahr, heute war es still.",
     "2023-01-01/2023-01-02 2023-01-01/2023-01-02 2022-12-31/2023-01-01"),
    ("Nächste Woche fange ich an.", "2023-01-02/2023-01-09"),
    ("Nächsten Monat fange ich an.", "2023-01-01/2023-02-01"),
    ("Dieses Wochenende bleibe ich daheim.", "2022-12-31/2023-01-02"),
    ("Heute Abend wird gefeiert.", "2022-12-31T18:00/2023-01-01"),
    ("An Heiligabend gab es Fondue.", "2022-12-24/2022-12-25"),
    ("Zwischen Weihnachten und Neujahr war ich daheim.", "2022-12-25/2023-01-02"),
    ("In drei Tagen bin ich weg.", "2023-01-03/2023-01-04"),
    ("Im Sommer waren wir am Meer.", "2022-06-01/2022-09-01"),
]  # fmt: skip
WITHOUT_DATES = (
    "Guten Morgen!",
    "Guten Abend, alle zusammen!",
    "Jeden Montag gehe ich schwimmen.",
    "Montags gehe ich schwimmen.",
    "Zweimal pro Woche gehe ich schwimmen.",
    "Ich habe drei Stunden gewartet.",
    "Das Kind ist drei Jahre alt.",
    "Der Laden macht um 9 Uhr auf.",
    "Ich bin am Morgen müde.",
    "Am nächsten Morgen war er weg.",
    "Das kostet 2000 Euro.",
    "Wir waren 30 Leute.",
    "Die Hälfte ist weg.",
    "Am Ende war alles gut.",
    "Er steht vor dem Haus.",
    "Sie geht nach Hause.",
    "Ich mag Ostereier und Weihnachtsbäume.",
    "Das ist das letzte Mal.",
    "Version 3.5. ist da.",
    "Neulich traf ich ihn.",
)


@pytest.mark.parametrize(
    ("text", "expected", "at"),
    [
        (*row, at)
        for rows, at in ((IN_MAY, MAY), (AFTER_A_LEAP_DAY, LEAP), (ON_THE_LAST_EVENING, YEARS_END))
        for row in rows
    ],
)
def test_a_german_sentence_means_what_was_worked_out_by_hand(read, text, expected, at):
    assert read(text, at, READER) == expected.split()


@pytest.mark.parametrize("at", [MAY, LEAP, YEARS_END])
@pytest.mark.parametrize("text", WITHOUT_DATES)
def test_a_german_sentence_without_a_date_has_none(read, text, at):
    assert not [one for one in read(text, at, READER) if "/" in one]


def test_the_reader_is_named_by_its_language_and_version():
    assert READER.identity == "german@1"
    assert from_spec(READER.identity) == READER
