-- Lines of the landing store that are not valid events.
{{ config(severity="warn") }}

select position_key, segment, byte_offset, reason
from {{ source("raw", "rejected_lines") }}
order by loaded_at desc, position_key asc
