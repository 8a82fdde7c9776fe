"""Small databases with other names than the shop's.

They have camel case, undeclared keys, two keys to one table, and codes as keys.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

MUSIC = """
CREATE TABLE Artist (ArtistId INTEGER PRIMARY KEY, Name TEXT, Country TEXT);
CREATE TABLE Album (AlbumId INTEGER PRIMARY KEY, Title TEXT, ArtistId INTEGER REFERENCES Artist (ArtistId),
    ReleaseYear INTEGER);
CREATE TABLE Genre (GenreId INTEGER PRIMARY KEY, Name TEXT);
CREATE TABLE Track (TrackId INTEGER PRIMARY KEY, Name TEXT, AlbumId INTEGER REFERENCES Album (AlbumId),
    GenreId INTEGER REFERENCES Genre (GenreId), Composer TEXT, DurationSeconds INTEGER, UnitPrice REAL);
CREATE TABLE Playlist (PlaylistId INTEGER PRIMARY KEY, Name TEXT);
CREATE TABLE PlaylistTrack (PlaylistId INTEGER REFERENCES Playlist (PlaylistId),
    TrackId INTEGER REFERENCES Track (TrackId),
    PRIMARY KEY (PlaylistId, TrackId));
"""
SCHOOL = """
CREATE TABLE departments (id INTEGER PRIMARY KEY, name TEXT, budget REAL);
CREATE TABLE teachers (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT, department_id INTEGER,
    hire_date TEXT, salary INTEGER);
CREATE TABLE students (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT, gender TEXT, birth_date TEXT,
    city TEXT, email TEXT, is_active INTEGER);
CREATE TABLE courses (id INTEGER PRIMARY KEY, title TEXT, credits INTEGER, teacher_id INTEGER, level TEXT);
CREATE TABLE enrollments (id INTEGER PRIMARY KEY, student_id INTEGER, course_id INTEGER, enrolled_on TEXT,
    grade INTEGER);
"""
FLIGHTS = """
CREATE TABLE airlines (code TEXT PRIMARY KEY, name TEXT, country TEXT);
CREATE TABLE airports (id INTEGER PRIMARY KEY, iata TEXT, name TEXT, city TEXT, country TEXT);
CREATE TABLE aircraft (id INTEGER PRIMARY KEY, model TEXT, manufacturer TEXT, seats INTEGER, range_km INTEGER);
CREATE TABLE flights (id INTEGER PRIMARY KEY, flight_number TEXT, airline_code TEXT REFERENCES airlines (code),
    origin_airport_id INTEGER REFERENCES airports (id), destination_airport_id INTEGER REFERENCES airports (id),
    aircraft_id INTEGER REFERENCES aircraft (id), departure_date TEXT, duration_minutes INTEGER, status TEXT);
CREATE TABLE passengers (id INTEGER PRIMARY KEY, full_name TEXT, nationality TEXT, age INTEGER);
CREATE TABLE bookings (id INTEGER PRIMARY KEY, flight_id INTEGER REFERENCES flights (id),
    passenger_id INTEGER REFERENCES passengers (id), seat_class TEXT, fare REAL, booked_at TEXT);
"""
HOSPITAL = """
CREATE TABLE wards (ward_id INTEGER PRIMARY KEY, ward_name TEXT, floor INTEGER, bed_count INTEGER);
CREATE TABLE doctors (doctor_id INTEGER PRIMARY KEY, doctor_name TEXT, specialty TEXT, years_experience INTEGER);
CREATE TABLE patients (patient_id INTEGER PRIMARY KEY, patient_name TEXT, sex TEXT, date_of_birth TEXT,
    blood_type TEXT, town TEXT, phone_number TEXT);
CREATE TABLE admissions (admission_id INTEGER PRIMARY KEY, patient_id INTEGER, ward_id INTEGER, admitted_on TEXT,
    discharged_on TEXT, total_cost REAL);
CREATE TABLE appointments (appointment_id INTEGER PRIMARY KEY, patient_id INTEGER, doctor_id INTEGER,
    appointment_date TEXT, status TEXT, fee REAL);
CREATE TABLE medications (medication_id INTEGER PRIMARY KEY, medication_name TEXT, price REAL);
CREATE TABLE prescriptions (prescription_id INTEGER PRIMARY KEY, appointment_id INTEGER, medication_id INTEGER,
    dose_mg INTEGER);
"""
LIBRARY = """
CREATE TABLE authors (authorId INTEGER PRIMARY KEY, fullName TEXT, birthYear INTEGER, nationality TEXT);
CREATE TABLE publishers (publisherId INTEGER PRIMARY KEY, publisherName TEXT, city TEXT);
CREATE TABLE books (bookId INTEGER PRIMARY KEY, title TEXT, authorId INTEGER REFERENCES authors (authorId),
    publisherId INTEGER REFERENCES publishers (publisherId), genre TEXT, pageCount INTEGER, publishedYear INTEGER);
CREATE TABLE members (memberId INTEGER PRIMARY KEY, memberName TEXT, joinedOn TEXT, city TEXT, isPremium BOOLEAN);
CREATE TABLE loans (loanId INTEGER PRIMARY KEY, bookId INTEGER REFERENCES books (bookId),
    memberId INTEGER REFERENCES members (memberId),
    loanedOn TEXT, returnedOn TEXT, lateFee REAL);
"""

FIRST = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gwen", "Hans", "Ines", "Jack", "Kira", "Liam")
LAST = ("Abbott", "Baker", "Castle", "Draper", "Ellis", "Forrest", "Granger", "Harlow")
PEOPLE = [f"{first} {last}" for first in FIRST for last in LAST]


def build(path: Path, tables: str, rows: dict[str, list[tuple[object, ...]]]) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(tables)
        for table, values in rows.items():
            database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
    return path


def day(chance: random.Random, first: int = 2020, last: int = 2023) -> str:
    return f"{chance.randint(first, last)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"


def music(path: Path) -> Path:
    c = random.Random(1)
    artists = [
        ("Velvet Foxes", "Sweden"),
        ("Stone Harbor", "Canada"),
        ("Lumen", "France"),
        ("Paper Kites", "Australia"),
        ("Nachtmusik", "Germany"),
        ("The Quiet", None),
    ]
    genres = ["Rock", "Jazz", "Electronic", "Folk", "Classical"]
    albums = [
        (n, f"{a} {b}", c.randint(1, 5), c.randint(1988, 2023))
        for n, (a, b) in enumerate(
            (
                (a, b)
                for a in ("Blue", "Silent", "Northern", "Broken")
                for b in ("Lights", "Rivers", "Hours", "Mirrors")
            ),
            1,
        )
    ]
    tracks = [
        (
            n,
            f"{a} {b}",
            c.randint(1, 16),
            c.randint(1, 5),
            c.choice([None, "J. Marsh", "K. Olsen", "T. Beck"]),
            c.randint(90, 600),
            c.choice([0.99, 1.29, 1.99]),
        )
        for n, (a, b) in enumerate(
            (
                (a, b)
                for a in ("Falling", "Golden", "Hidden", "Lost", "Love", "Morning", "Paper", "Winter")
                for b in ("Dance", "Song", "Dream", "Love", "Street", "Garden", "Clouds", "Fire", "Glass", "Train")
            ),
            1,
        )
    ]
    lists = ["Workout", "Chill", "Road Trip", "Focus", "Empty One"]
    pairs = sorted({(c.randint(1, 4), c.randint(1, 80)) for _ in range(90)})
    return build(
        path,
        MUSIC,
        {
            "Artist": [(n, *a) for n, a in enumerate(artists, 1)],
            "Album": albums,
            "Genre": list(enumerate(genres, 1)),
            "Track": tracks,
            "Playlist": list(enumerate(lists, 1)),
            "PlaylistTrack": pairs,
        },
    )


def school(path: Path) -> Path:
    c = random.Random(2)
    departments = [
        (n, name, 10_000.0 * c.randint(3, 40))
        for n, name in enumerate(("Mathematics", "History", "Physics", "Arts"), 1)
    ]
    teachers = [
        (
            n,
            PEOPLE[-n].split()[0],
            PEOPLE[-n * 5].split()[1],
            c.randint(1, 3),
            day(c, 2005, 2022),
            c.randint(30, 80) * 1000 + n,
        )
        for n in range(1, 13)
    ]
    students = [
        (
            n,
            *PEOPLE[n].split(),
            c.choice("FM"),
            day(c, 2000, 2006),
            c.choice(("Leeds", "York", "Bath", "Dover")),
            None if n % 6 == 0 else f"s{n}@school.test",
            int(n % 5 != 0),
        )
        for n in range(1, 61)
    ]
    titles = (
        "Algebra",
        "Calculus",
        "World History",
        "Mechanics",
        "Optics",
        "Painting",
        "Sculpture",
        "Statistics",
        "Geometry",
        "Modern Europe",
    )
    courses = [
        (n, title, c.randint(2, 6), c.randint(1, 10), c.choice(("Beginner", "Advanced")))
        for n, title in enumerate(titles, 1)
    ]
    enrollments = [
        (n, c.randint(1, 52), c.randint(1, 9), day(c), c.choice([None, *range(40, 101, 5)])) for n in range(1, 161)
    ]
    return build(
        path,
        SCHOOL,
        {
            "departments": departments,
            "teachers": teachers,
            "students": students,
            "courses": courses,
            "enrollments": enrollments,
        },
    )


def flights(path: Path) -> Path:
    c = random.Random(3)
    airlines = [
        ("NW", "Northwind Air", "Norway"),
        ("SL", "Skylark", "Ireland"),
        ("AZ", "Azur", "France"),
        ("TK", "Tokara", "Japan"),
        ("ZZ", "Paper Air", "Ireland"),
    ]
    airports = [
        (1, "OSL", "Gardermoen", "Oslo", "Norway"),
        (2, "DUB", "Dublin International", "Dublin", "Ireland"),
        (3, "CDG", "Charles de Gaulle", "Paris", "France"),
        (4, "ORY", "Orly", "Paris", "France"),
        (5, "HND", "Haneda", "Tokyo", "Japan"),
        (6, "LIS", "Portela", "Lisbon", "Portugal"),
    ]
    aircraft = [
        (1, "A320", "Airbus", 180, 6100),
        (2, "A350", "Airbus", 325, 15000),
        (3, "B737", "Boeing", 162, 5600),
        (4, "B787", "Boeing", 296, 14100),
        (5, "E190", "Embraer", 98, 4500),
    ]
    trips = [
        (
            n,
            f"{c.choice('NSAT')}{100 + n}",
            c.choice(("NW", "SL", "AZ", "TK")),
            *c.sample(range(1, 6), 2),
            c.randint(1, 4),
            day(c, 2021, 2023),
            c.randint(60, 800),
            c.choice(("landed", "landed", "delayed", "cancelled")),
        )
        for n in range(1, 91)
    ]
    people = [
        (n, PEOPLE[n], c.choice(("Irish", "French", "Japanese", "Norwegian")), c.randint(4, 88)) for n in range(1, 71)
    ]
    bookings = [
        (
            n,
            c.randint(1, 84),
            c.randint(1, 64),
            c.choice(("economy", "economy", "business", "first")),
            round(c.uniform(40, 1900), 2),
            day(c, 2021, 2023),
        )
        for n in range(1, 221)
    ]
    return build(
        path,
        FLIGHTS,
        {
            "airlines": airlines,
            "airports": airports,
            "aircraft": aircraft,
            "flights": trips,
            "passengers": people,
            "bookings": bookings,
        },
    )


def hospital(path: Path) -> Path:
    c = random.Random(4)
    wards = [(1, "Cardiology", 2, 24), (2, "Pediatrics", 1, 30), (3, "Oncology", 3, 18), (4, "Maternity", 1, 22)]
    doctors = [
        (
            n,
            f"Dr. {PEOPLE[n * 3]}",
            c.choice(("Cardiologist", "Surgeon", "Pediatrician", "Neurologist")),
            c.randint(1, 35),
        )
        for n in range(1, 15)
    ]
    patients = [
        (
            n,
            PEOPLE[n],
            c.choice(("F", "M")),
            day(c, 1940, 2018),
            c.choice(("A+", "O-", "B+", "AB+")),
            c.choice(("Ashford", "Milton", "Kingsbury")),
            None if n % 7 == 0 else f"555-{1000 + n}",
        )
        for n in range(1, 81)
    ]
    admissions = [
        (
            n,
            c.randint(1, 70),
            c.randint(1, 3),
            day(c),
            None if n % 8 == 0 else day(c, 2024, 2024),
            round(c.uniform(200, 20000), 2),
        )
        for n in range(1, 101)
    ]
    appointments = [
        (
            n,
            c.randint(1, 76),
            c.randint(1, 12),
            day(c),
            c.choice(("completed", "completed", "no-show", "scheduled")),
            float(c.randint(40, 300)),
        )
        for n in range(1, 201)
    ]
    medications = [
        (n, name, round(c.uniform(2, 90), 2))
        for n, name in enumerate(("Ibuprofen", "Amoxicillin", "Metformin", "Lisinopril", "Warfarin", "Placebon"), 1)
    ]
    prescriptions = [(n, c.randint(1, 190), c.randint(1, 5), c.choice((5, 10, 250, 500))) for n in range(1, 151)]
    return build(
        path,
        HOSPITAL,
        {
            "wards": wards,
            "doctors": doctors,
            "patients": patients,
            "admissions": admissions,
            "appointments": appointments,
            "medications": medications,
            "prescriptions": prescriptions,
        },
    )


def library(path: Path) -> Path:
    c = random.Random(5)
    authors = [
        (n, PEOPLE[n * 7 % 96], c.randint(1880, 1985), c.choice(("British", "Irish", "Canadian", "Nigerian")))
        for n in range(1, 16)
    ]
    publishers = [
        (1, "Harbour Press", "London"),
        (2, "Blue Door", "Dublin"),
        (3, "Maple House", "Toronto"),
        (4, "Sunbird", "Lagos"),
    ]
    titles = [
        f"{a} {b}"
        for a in ("The Last", "A Distant", "Beyond the", "Under a")
        for b in ("Garden", "Harvest", "Shore", "Winter", "Machine", "Letter", "Tide", "Mountain", "Orchard", "Promise")
    ]
    books = [
        (
            n,
            title,
            c.randint(1, 14),
            c.randint(1, 3),
            c.choice(("Fantasy", "Mystery", "Biography", "Poetry")),
            c.randint(90, 900),
            c.randint(1950, 2022),
        )
        for n, title in enumerate(titles, 1)
    ]
    members = [
        (n, PEOPLE[n], day(c, 2015, 2022), c.choice(("London", "Dublin", "Toronto")), int(n % 4 == 0))
        for n in range(1, 51)
    ]
    loans = [
        (
            n,
            c.randint(1, 36),
            c.randint(1, 45),
            day(c),
            None if n % 6 == 0 else day(c, 2024, 2024),
            c.choice((0.0, 0.0, 1.5, 3.0)),
        )
        for n in range(1, 181)
    ]
    return build(
        path,
        LIBRARY,
        {"authors": authors, "publishers": publishers, "books": books, "members": members, "loans": loans},
    )


BUILDERS = {"music": music, "school": school, "flights": flights, "hospital": hospital, "library": library}
