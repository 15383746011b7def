{{ config(tags=["by_day"]) }} {{ scorecard_beside_the_week_before(ref("int_scorecard_daily")) }}
