"""Pages of the Python reference, one for each module, written before Sphinx reads the sources.

If a package exports names of a module, as `cnn` does for `cnn.vgg`, these names are on the page of the package.
"""

import ast
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ('cnn', 'mlp', 'loaders', 'utils')
FOLDER = Path('reference', 'api')


class Module:
    """A module or package, read from its source without importing it.

    Attributes
    ----------
    name : str
        Full name, as in an import statement.
    package : bool
        Whether it is a package.
    exported : list of str
        Names in its ``__all__``.
    public : list of str
        Documented functions and classes that it defines, without a leading underscore.
    """

    def __init__(self, path: Path) -> None:
        parts = path.relative_to(ROOT).with_suffix('').parts
        self.package = parts[-1] == '__init__'
        self.name = '.'.join(parts[:-1] if self.package else parts)
        tree = ast.parse(path.read_text(encoding='utf-8'))
        self.documented = bool(ast.get_docstring(tree))
        self.exported = [name for node in tree.body for name in _all_of(node)]
        self.public = [
            node.name
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and not node.name.startswith('_')
            and ast.get_docstring(node)
        ]


def _all_of(node):
    """Names in a statement ``__all__ = [...]``."""
    if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ['__all__']:
        return ast.literal_eval(node.value)
    return []


def modules() -> dict[str, Module]:
    """All modules with a page, by name."""
    paths = [ROOT / 'launch.py', *(path for package in PACKAGES for path in sorted((ROOT / package).rglob('*.py')))]
    found = [Module(path) for path in paths if path.stem != '__main__']
    return {module.name: module for module in found if module.package or module.public}


def page(module: Module, known: dict[str, Module]) -> str:
    """Text of the page of a module."""
    parents = [known[name] for name in _parents(module.name)]
    elsewhere = {name for parent in parents for name in shown_by(parent, known)} & set(module.public)
    title = module.name.replace('_', r'\_')
    above = module.name.rpartition('.')[0]
    lines = [] if module.package or not above else [':orphan:', '']  # linked from its package but not in the sidebar
    lines += [title, '=' * len(title), '']
    if lines[0] == ':orphan:':
        lines += [f'A module of :doc:`{above}`.', '']
    lines.append(f'.. automodule:: {module.name}')
    here = shown_by(module, known)
    here += [name for name in module.public if name not in elsewhere and name not in here]
    if here:
        lines.append(f'   :members: {", ".join(here)}')
    if elsewhere:
        shown = ', '.join(f':py:obj:`{name}`' for name in module.public if name in elsewhere)
        lines += ['', f'On the page of the package: {shown}.']
    below = [name for name in known if name.rpartition('.')[0] == module.name]
    if below:
        lines += ['', '.. rubric:: Modules', '', *(f'* :doc:`{name}`' for name in below)]
        packages = [name for name in below if known[name].package]
        if packages:
            lines += ['', '.. toctree::', '   :hidden:', '', *(f'   {name}' for name in packages)]
    return '\n'.join(lines) + '\n'


def shown_by(module: Module, known: dict[str, Module]) -> list[str]:
    """Names that a package exports, without its modules, which have their own pages."""
    return [name for name in module.exported if f'{module.name}.{name}' not in known]


def _parents(name):
    while '.' in name:
        name = name.rpartition('.')[0]
        yield name


def write_pages(app) -> None:
    """Write only the pages that have changed, so that a second build does not read the others again."""
    known = modules()
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f'{name}.rst': page(module, known) for name, module in known.items()}
    for path in folder.iterdir():
        if path.name not in texts:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')


def short_names(app, env, node, contnode):
    """Resolve a name without its module, as used in docstrings, if only one object of symfer has that name."""
    if node.get('refdomain') != 'py' or node.get('reftype') != 'obj':
        return None
    domain, target = env.get_domain('py'), node['reftarget']
    found = {name: entry for name, entry in domain.objects.items() if name.endswith(f'.{target}')}
    places = [entry for entry in found.values() if not entry.aliased]
    if len(places) != 1:
        return None
    entry = places[0]
    from sphinx.util.nodes import make_refnode

    return make_refnode(app.builder, node['refdoc'], entry.docname, entry.node_id, [contnode], target)


def skip_fields(app, what, name, obj, skip, options):
    """Skip the fields of named tuples: they only have Python's default docstring, and the class describes them."""
    return True if str(getattr(obj, '__doc__', '')).startswith('Alias for field number') else None


def setup(app):
    """Register the extension (called by Sphinx)."""
    app.connect('builder-inited', write_pages)
    app.connect('missing-reference', short_names)
    app.connect('autodoc-skip-member', skip_fields)
    return {'parallel_read_safe': True}
