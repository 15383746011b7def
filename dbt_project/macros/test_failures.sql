{# What a data test found, for people. #}
{% macro log_test_failures(results) -%}
    {%- set failed = [] -%}
    {%- for result in results if result.node.resource_type == "test" and result.failures -%}
        {%- if result.status in ("warn", "fail") -%} {%- do failed.append(result) -%} {%- endif -%}
    {%- endfor -%}
    {%- set personal = personal_columns() if failed else [] -%}
    {%- for result in failed -%}
        {%- set rows = [] if result.node.column_name in personal else failing_rows(result.node, personal) -%}
        {%- set others = result.failures - rows | length -%}
        {%- if others > 0 -%}
            {%- do rows.append(
                ("and " ~ others ~ " more") if rows else (others ~ " rows of personal data")
            ) -%}
        {%- endif -%}
        {%- do log(result.node.name ~ ": " ~ rows | join("; "), info=true) -%}
    {%- endfor -%}
{%- endmacro %}

{% macro failing_rows(test, personal) -%}
    {%- set query -%}
        select * from (
            {{ test.compiled_code }}
        ) as failing limit 5
    {%- endset -%}
    {%- set table = run_query(query) -%}
    {%- set rows = [] -%}
    {%- for row in table.rows -%}
        {%- set cells = [] -%}
        {%- for name in table.column_names if name not in personal -%}
            {%- do cells.append(name ~ " " ~ without_numbers_of_people(row[name])) -%}
        {%- endfor -%}
        {%- if cells -%} {%- do rows.append(cells | join(", ")) -%} {%- endif -%}
    {%- endfor -%}
    {{ return(rows) }}
{%- endmacro %}

{% macro personal_columns() -%}
    {%- set names = [] -%}
    {%- for node in (graph.nodes.values() | list) + (graph.sources.values() | list) -%}
        {%- for name, column in (node.columns or {}).items() if column.meta.pii -%}
            {%- do names.append(name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{% macro without_numbers_of_people(cell) -%}
    {%- set text = modules.re.sub("\\s+", " ", "null" if cell is none else cell | string) -%}
    {%- if cell is string -%}
        {%- set text = modules.re.sub("(?<!\\S)[^\\s@]*+@\\S*", "···", text) -%}
        {%- set text = modules.re.sub(
            "\\+\\d(?:[ ()./-]{0,2}\\d){6,40}|(?<![\\w.+-])(?!\\d{4}-\\d\\d-\\d\\d)\\(?\\d(?:[ ().-]{0,2}\\d){6,40}(?![\\w-])",
            "···",
            text,
        ) -%}
    {%- endif -%}
    {{ return(text if text | length <= 80 else text[:79] ~ "…") }}
{%- endmacro %}
