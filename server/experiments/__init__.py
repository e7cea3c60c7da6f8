"""A/B experiments: arms in the card, outcomes from clients, and a report that may be looked at every day.

`card` is what a card says, `outcomes` what clients report, `report` the statistics, `page` and `table` how they are
shown.
"""
