// A module of its own: programs that the race detector must catch would fail the tests of all.
module tandem.local/defects

go 1.26
