module sextant

go 1.26
