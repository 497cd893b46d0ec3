"""Real-world spellings of people's names."""

import pytest

from ingest.domain.normalisation import read_name

NAMES = [
    # first, last as typed -> first, last
    ("Jane", "Doe", "Jane", "Doe"),
    ("jane", "doe", "Jane", "Doe"),
    ("JANE", "DOE", "Jane", "Doe"),
    ("jane", "DOE", "Jane", "Doe"),
    (" Jane ", "  Doe ", "Jane", "Doe"),
    ("Jane\n", "Doe\r\n", "Jane", "Doe"),
    ("Jane\x00", "Doe\x1b", "Jane", "Doe"),
    ("Jane\u200b", "\ufeffDoe", "Jane", "Doe"),
    ("Jane 🚀", "Doe", "Jane", "Doe"),
    ("Jane Doe", None, "Jane", "Doe"),
    (None, "Jane Doe", "Jane", "Doe"),
    ("JANE DOE", None, "Jane", "Doe"),
    ("jane doe", None, "Jane", "Doe"),
    ("Doe, Jane", None, "Jane", "Doe"),
    ("DOE, JANE", None, "Jane", "Doe"),
    (None, "Doe, Jane", "Jane", "Doe"),
    ("Doe,Jane", None, "Jane", "Doe"),
    ("van der Berg, Jan", None, "Jan", "van der Berg"),
    ("VAN DER BERG, JAN", None, "Jan", "van der Berg"),
    ("García Márquez, Gabriel", None, "Gabriel", "García Márquez"),
    ("Doe, Jane Mary", None, "Jane Mary", "Doe"),
    ("Jane Doe", "Doe", "Jane", "Doe"),
    ("Jane", None, "Jane", None),
    (None, "Doe", None, "Doe"),
    ("Cher", "", "Cher", None),
    # honorifics and what stands behind a name
    ("Mr. John", "Smith", "John", "Smith"),
    ("Mr John", "Smith", "John", "Smith"),
    ("Mrs. Jane", "Doe", "Jane", "Doe"),
    ("Ms Jane Doe", None, "Jane", "Doe"),
    ("Dr. Jane Doe", None, "Jane", "Doe"),
    ("Dr.", "Jane Doe", "Jane", "Doe"),
    ("Prof. Dr. Hans", "Müller", "Hans", "Müller"),
    ("Prof. Dr.-Ing. Hans Müller", None, "Hans", "Müller"),
    ("Herr Hans", "Müller", "Hans", "Müller"),
    ("Frau", "Erika Mustermann", "Erika", "Mustermann"),
    ("Dipl.-Ing. Karl", "Huber", "Karl", "Huber"),
    ("Mag. Eva", "Gruber", "Eva", "Gruber"),
    ("Mme Claire", "Dubois", "Claire", "Dubois"),
    ("M. Pierre Martin", None, "Pierre", "Martin"),
    ("Sr. Juan", "Pérez", "Juan", "Pérez"),
    ("Sra. María", "López", "María", "López"),
    ("Dott.ssa Chiara", "Rossi", "Chiara", "Rossi"),
    ("Ing. Petr", "Novák", "Petr", "Novák"),
    ("Sir Ian", "McKellen", "Ian", "McKellen"),
    ("Jane", "Doe, PhD", "Jane", "Doe"),
    ("Jane", "Doe PhD", "Jane", "Doe"),
    ("Jane", "Doe, MBA", "Jane", "Doe"),
    ("Jane Doe, MBA, PMP", None, "Jane", "Doe"),
    ("Jane", "Doe MD", "Jane", "Doe"),
    ("John", "Smith, Esq.", "John", "Smith"),
    ("John", "Smith Jr.", "John", "Smith Jr."),
    ("JOHN", "SMITH III", "John", "Smith III"),
    ("John Smith Jr.", None, "John", "Smith Jr."),
    ("William (Bill)", "Gates", "William", "Gates"),
    ('Robert "Bob"', "Smith", "Robert", "Smith"),
    # particles
    ("Ludwig van Beethoven", None, "Ludwig", "van Beethoven"),
    ("LUDWIG VAN BEETHOVEN", None, "Ludwig", "van Beethoven"),
    ("Vincent", "VAN GOGH", "Vincent", "van Gogh"),
    ("Anna", "VON DER LEYEN", "Anna", "von der Leyen"),
    ("Maria de la Cruz", None, "Maria", "de la Cruz"),
    ("maria", "de la cruz", "Maria", "de la Cruz"),
    ("Leonardo", "DA VINCI", "Leonardo", "da Vinci"),
    ("Charles de Gaulle", None, "Charles", "de Gaulle"),
    ("Luiz dos Santos", None, "Luiz", "dos Santos"),
    ("Osama bin Talal", None, "Osama", "bin Talal"),
    ("Robert De Niro", None, "Robert", "De Niro"),
    ("Ruud van 't Hof", None, "Ruud", "van 't Hof"),
    ("Manfred", "ZU LÖWENSTEIN", "Manfred", "zu Löwenstein"),
    ("José", "ORTEGA Y GASSET", "José", "Ortega y Gasset"),
    ("Thi", "VAN", "Thi", "Van"),
    ("EVA", "DE", "Eva", "De"),
    # inner capitals
    ("SHAUN", "O'BRIEN", "Shaun", "O'Brien"),
    ("shaun", "o'brien", "Shaun", "O'Brien"),
    ("Shaun", "O’BRIEN", "Shaun", "O’Brien"),
    ("RONALD", "MCDONALD", "Ronald", "McDonald"),
    ("ronald", "mcdonald", "Ronald", "McDonald"),
    ("ANNE-MARIE", "SMITH-JONES", "Anne-Marie", "Smith-Jones"),
    ("jean-luc", "picard", "Jean-Luc", "Picard"),
    ("GIANNI", "D'ANGELO", "Gianni", "D'Angelo"),
    ("Ronald", "McDonald", "Ronald", "McDonald"),
    ("Anna", "MacDonald", "Anna", "MacDonald"),
    ("Leo", "DiCaprio", "Leo", "DiCaprio"),
    ("JP", "Morgan", "JP", "Morgan"),
    ("J.P.", "MORGAN", "J.P.", "Morgan"),
    ("J.", "Doe", "J.", "Doe"),
    ("J R R Tolkien", None, "J R", "R Tolkien"),
    ("John F. Kennedy", None, "John F.", "Kennedy"),
    ("Mary Ann Smith", None, "Mary Ann", "Smith"),
    ("Juan Carlos García López", None, "Juan Carlos", "García López"),
    # accents and scripts
    ("JÜRGEN", "MÜLLER", "Jürgen", "Müller"),
    ("jürgen", "groß", "Jürgen", "Groß"),
    ("ÉLODIE", "LEFÈVRE", "Élodie", "Lefèvre"),
    ("Jose\u0301", "Nun\u0303ez", "José", "Nuñez"),
    ("ŁUKASZ", "WÓJCIK", "Łukasz", "Wójcik"),
    ("ИВАН", "ПЕТРОВ", "Иван", "Петров"),
    ("иван", "петров", "Иван", "Петров"),
    ("ΓΙΩΡΓΟΣ", "ΠΑΠΑΣ", "Γιωργος", "Παπας"),
    ("太郎", "山田", "太郎", "山田"),
    ("山田太郎", None, "山田太郎", None),
    ("محمد", "علي", "محمد", "علي"),
    ("דוד", "כהן", "דוד", "כהן"),
    ("राज", "शर्मा", "राज", "शर्मा"),
    ("민수", "김", "민수", "김"),
    ("Nguyễn", "Văn An", "Nguyễn", "Văn An"),
    ("Søren", "Ærø", "Søren", "Ærø"),
]

NO_NAMES = [
    (None, None, None),
    ("", "", None),
    ("  ", "\n", None),
    ("n/a", "n/a", "placeholder"),
    ("-", "-", "placeholder"),
    ("test", "test", "placeholder"),
    ("asdf", None, "placeholder"),
    ("???", "...", "placeholder"),
    ("https://spam.example", "Doe", "not_a_name"),
    ("www.spam.example", None, "not_a_name"),
    ("jane@example.com", None, "not_a_name"),
    ("<script>alert(1)</script>", "x", "not_a_name"),
    ("Jane 4155552671", "Doe", "not_a_name"),
    ("${jndi:ldap}", "{{7*7}}", "not_a_name"),
]


@pytest.mark.parametrize(("first", "last", "first_read", "last_read"), NAMES)
def test_a_name_is_read_as_its_owner_would_write_it(first, last, first_read, last_read):
    assert read_name(first, last) == (first_read, last_read, None)


@pytest.mark.parametrize(("first", "last", "reason"), NO_NAMES)
def test_what_is_no_name_stays_unset_with_a_reason(first, last, reason):
    assert read_name(first, last) == (None, None, reason)


@pytest.mark.parametrize(("first", "last", "first_read", "last_read"), NAMES)
def test_reading_a_read_name_changes_nothing(first, last, first_read, last_read):
    assert read_name(first_read, last_read) == (first_read, last_read, None)
