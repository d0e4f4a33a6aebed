"""Hostile packages: folders on `sys.path` with the metadata of an installed package, some with a module."""

from cases import Case, evil_pickle, leading, pipe, sparse

ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e"
POINT = "[sslkit.losses]\nfoo = fake_hostile:Foo\n"
LEAVES_A_FILE = "import pathlib\npathlib.Path('executed').touch()\n"


def package(metadata, *, name="fake_hostile-1.0", **modules):
    """A maker of a folder with one package in it."""

    def make(folder):
        place = folder / "site"
        info = place / f"{name}.dist-info"
        info.mkdir(parents=True)
        if callable(metadata):
            metadata(info)
        else:
            (info / "entry_points.txt").write_bytes(metadata if isinstance(metadata, bytes) else metadata.encode())
        for module, text in modules.items():
            (place / f"{module}.py").write_text(text)
        return place

    return make


FILE = "entry_points.txt"
IMPORTED = "comes from fake-hostile 1.0, which can't be imported"

CASES = {
    "nothing in it": Case(package(""), None),
    "escape codes in name and target": Case(package(f"[sslkit.heads]\n{ESCAPES} = a:b\nx = {ESCAPES}:b\n"), None),
    "escape codes in the package's name": Case(package("[sslkit.heads]\nx = a:b\n", name=f"fake{ESCAPES}-1.0"), None),
    "markup in a name": Case(package("[sslkit.heads]\n[/bold][link=http://x]y = a:b\n[bold]x[/] = a:b\n"), None),
    "no entry point": Case(package("[sslkit.losses]\nfoo = a b c\n"), None),
    "code as a target": Case(package("[sslkit.losses]\nfoo = os.system('touch executed'):x\n"), None),
    "no kind of that name": Case(package("[sslkit.evil]\nfoo = a:b\n"), None),
    "not UTF-8": Case(package(b"[sslkit.losses]\n\xff\xfe = a:b\n"), None),
    "pickle": Case(package(lambda info: (info / FILE).write_bytes(evil_pickle(info))), None),
    "a section twice": Case(package("[sslkit.losses]\na = b:c\n[sslkit.losses]\na = b:d\n"), None),
    "100 MB": Case(package(sparse(FILE, 10**8, b"[sslkit.losses]\n")), None),
    "interpolation of itself": Case(package("[DEFAULT]\na = %(a)s\n[sslkit.losses]\nfoo = %(a)s:b\n"), None),
    "pipe": Case(package(pipe(FILE)), None),
    "folder": Case(package(lambda info: (info / FILE).mkdir()), None),
    "link to itself": Case(package(leading(FILE, FILE)), None),
    "device": Case(package(leading(FILE, "/dev/zero")), None),
    "what sslkit brings": Case(package("[sslkit.heads]\nmlp = fake_hostile:Foo\n"), None),
    "module beside its metadata, not imported": Case(package(POINT.replace("losses", "heads"), fake_hostile=LEAVES_A_FILE), None),
}  # fmt: skip

USED = {
    "module that is not there": Case(package(POINT), IMPORTED),
    "module that exits": Case(package(POINT, fake_hostile="raise SystemExit(3)"), IMPORTED),
    "module that is no Python": Case(package(POINT, fake_hostile="def"), IMPORTED),
    "not a class": Case(package(POINT, fake_hostile="Foo = 3"), "is not a class but 3"),
    "escape codes in what it raises": Case(package(POINT, fake_hostile=f"raise ValueError({ESCAPES!r})"), IMPORTED),
}  # fmt: skip
