package fat

// For the tests.
var (
	DecodeEntry = decodeEntry
	DecodeLong  = decodeLong
)
