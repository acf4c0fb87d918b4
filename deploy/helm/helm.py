"""`helm lint` and `helm template`, where there is no helm but its SDK (helm-python-sdk of PyPI).

    helm.py lint CHART [-f VALUES]
    helm.py template RELEASE CHART [-n NAMESPACE] [-f VALUES]

The tests use it; exit codes and output are as helm's.
"""

import argparse
import sys

import helm_python as helm


def main() -> int:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    lint, template = verbs.add_parser("lint"), verbs.add_parser("template")
    template.add_argument("release")
    for verb in (lint, template):
        verb.add_argument("chart")
        verb.add_argument("-n", "--namespace", default="default")
        verb.add_argument("-f", "--values")
    typed = parser.parse_args()
    values = None
    if typed.values:
        with open(typed.values, encoding="utf-8") as file:
            values = helm.values_from_yaml(file.read())
    if typed.verb == "lint":
        said = helm.lint(typed.chart, values, strict=True, namespace=typed.namespace)
        print(said)
        return 0 if said.get("passed", not said.get("errors")) else 1
    with helm.Chart.load(typed.chart) as chart:
        chart.validate_schema(values or {})
        files = chart.render(values, name=typed.release, namespace=typed.namespace)
    for name, text in sorted(files.items()):
        if name.endswith(".yaml") and text.strip():
            print(f"---\n# Source: {name}\n{text.strip()}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except helm.HelmError as error:
        sys.exit(f"Error: {error}")
