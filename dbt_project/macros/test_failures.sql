{# What a data test found, in words: after a build, the first rows of each that warned or failed, as far as no column is personal.
   By hand it stands in dbt's output; Dagster shows it at the check. A test that names the newest first orders its rows so. #}
{% macro log_test_failures(results) -%}
    {%- set found = [] -%}
    {%- for result in results if result.node.resource_type == "test" and result.failures -%}
        {%- if result.status in ("warn", "fail") -%} {%- do found.append(result) -%} {%- endif -%}
    {%- endfor -%}
    {%- set personal = personal_columns() if found else [] -%}
    {%- for result in found -%}
        {%- set told = [] if result.node.column_name in personal else failing_rows(result.node, personal) -%}
        {%- set others = result.failures - told | length -%}
        {%- if others > 0 -%}
            {%- do told.append(
                ("and " ~ others ~ " more") if told else (others ~ " rows of personal data")
            ) -%}
        {%- endif -%}
        {%- do log(result.node.name ~ ": " ~ told | join("; "), info=true) -%}
    {%- endfor -%}
{%- endmacro %}

{# The first rows that a test finds, each as text, without what stands in columns of these names. #}
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

{# The names of all columns that are tagged as personal. #}
{% macro personal_columns() -%}
    {%- set names = [] -%}
    {%- for node in (graph.nodes.values() | list) + (graph.sources.values() | list) -%}
        {%- for name, column in (node.columns or {}).items() if column.meta.pii -%}
            {%- do names.append(name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{# A cell as text of one line, at most 80 characters, without phone numbers and addresses: platforms put them into any field.
   The patterns take linear time: an address is looked for once a word, and a number has an end. #}
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
