"""Templates that grow, nest, repeat or reach for what is not theirs."""

import random

from tests.hostile.campaign.commands import Case
from tests.hostile.corpus import dataset, expression, text

Draw = random.Random


def templates(draw: Draw) -> str:
    """A template of parts that grow, nest, repeat or reach for what is not theirs."""
    number = draw.choice(["3", "60", "9999", "10**7", "10**9", "-1", "1e308"])
    start = draw.choice(
        ["plan", "'x'", "[plan]", "{'a': plan}", "plan|list", "range(9)", "nosuch"]
    )
    growth = draw.choice(
        [
            "a ~ a",
            "a + a",
            "[a, a]",
            "{'x': a, 'y': a}",
            "a|replace('', a)",
            "a|join(a)",
            "(a, a, a)",
            "a|tojson",
            "a|string ~ a|string",
            "a|list",
            "a|indent(NUMBER)",
            "a|center(NUMBER)",
            "a * NUMBER",
            "a|batch(NUMBER)|list",
            "a|format(a)",
            "'%NUMBERd'|format(1)",
            "a|wordwrap(1)",
            "a|urlize",
            "a|pprint",
            "a.__class__",
            "a|attr('__class__')",
            "a['__globals__']",
            "self",
            "loop",
            "a|map('upper')|list",
            "a|sort|unique|list",
            "a|groupby('x')|list",
            "a|round(NUMBER)",
            "a|int(NUMBER)",
            "a ** NUMBER",
            "a|truncate(NUMBER)",
            "a|filesizeformat",
            "a|xmlattr",
            "a|escape|escape",
            "namespace(a=a)",
            "dict(a=a)",
        ]
    ).replace("NUMBER", number)
    chain = draw.choice(
        [" ~ a", " + a", "|upper", "[0]", ".x", " and a", " if a else a", "|default(a)"]
    )
    return draw.choice(
        [
            f"{{% set a = {start} %}}"
            + f"{{% set a = {growth} %}}" * draw.choice([1, 5, 25, 60, 2_000])
            + "{{ a }}",
            f"{{% set a = {start} %}}{{{{ a{chain * draw.choice([1, 50, 3_000, 30_000])} }}}}",
            f"{{% set ns = namespace(a={start}) %}}{{% for i in range({number}) %}}{{% set ns.a = ns.a ~ ns.a %}}"
            "{% endfor %}{{ ns.a }}",
            f"{{% macro m(a) %}}{{{{ m({growth}) }}}}{{% endmacro %}}{{{{ m({start}) }}}}",
            "{% for i in range(99) %}" * draw.choice([2, 4, 30])
            + "x"
            + "{% endfor %}" * draw.choice([2, 4, 30]),
            "{% if plan %}" * draw.choice([3, 400, 9_000])
            + "x"
            + "{% endif %}" * draw.choice([3, 400]),
            f"{{{{ {draw.choice('([{-~')!s}" * draw.choice([1, 30, 5_000]) + "1",
            "".join(
                draw.choice(
                    ["{{", "}}", "{%", "%}", "{#", "#}", "a", "|", "'", "end", "for "]
                )
                for _ in range(400)
            ),
            f"{{% filter {draw.choice(['upper', 'indent(9)', 'nosuch', 'replace(1, 2)'])} %}}{{{{ {growth} }}}}"
            "{% endfilter %}",
        ]
    )


def template_cases(draw: Draw) -> Case:
    source = templates(draw)
    column = draw.choice(
        [
            expression(source),
            text(source),
            text(skip={"when": source}),
            text(system_prompt=source),
        ]
    )
    return Case("templates", "", dataset(column))
