{{ config(materialized="table") }}

with final as (select {{ day_rows("date '2015-01-01'", "date '2050-12-31'") }} as date_day)

select *
from final
