package xz_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os/exec"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/xz"
)

// made is a file that is right in all but what a test changes.
type made struct {
	flags, footerFlags []byte
	head               []byte // of the block: flags, sizes and filters
	chunks             []byte
	blockPadding       []byte
	check              []byte
	records            []byte // of the index, with their number; what is right if nil
	indexPadding       []byte
	indexSum           uint32 // what is wrong with it
	backward           uint32 // what is wrong with it
	footerMagic        string
}

// hello is "hello" in one chunk that is stored, without a check.
func hello() *made {
	return &made{
		flags: []byte{0, 0}, footerFlags: []byte{0, 0},
		head:         []byte{0, 0x21, 1, 0},
		chunks:       []byte("\x01\x00\x04hello\x00"),
		blockPadding: []byte{0, 0, 0},
		footerMagic:  "YZ",
	}
}

func summed(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }

func (m *made) bytes() []byte {
	b := append([]byte(xz.Magic), summed(m.flags[:len(m.flags):len(m.flags)])...)
	head := append([]byte{0}, m.head...)
	head = append(head, make([]byte, -len(head)&3)...)
	head[0] = byte(len(head) / 4)
	b = append(b, summed(head)...)
	b = append(b, m.chunks...)
	b = append(b, m.blockPadding...)
	b = append(b, m.check...)
	if m.records == nil {
		m.records = append(binary.AppendUvarint([]byte{1}, uint64(len(head)+4+len(m.chunks)+len(m.check))), 5)
	}
	index := append([]byte{0}, m.records...)
	if m.indexPadding == nil {
		m.indexPadding = make([]byte, -len(index)&3)
	}
	index = append(index, m.indexPadding...)
	index = binary.LittleEndian.AppendUint32(index, crc32.ChecksumIEEE(index)^m.indexSum)
	b = append(b, index...)
	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)+m.backward)
	footer = append(footer, m.footerFlags...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(footer))
	return append(append(b, footer...), m.footerMagic...)
}

// TestRules breaks one rule of the format at a time, with all checksums right.
// The xz program has to refuse the same files.
func TestRules(t *testing.T) {
	none, corrupt, unsupported := error(nil), fault.ErrCorrupt, fault.ErrUnsupported
	for name, c := range map[string]struct {
		change func(m *made)
		want   error
	}{
		"right":                 {func(m *made) {}, none},
		"sizes in the header":   {func(m *made) { m.head = []byte{0xc0, 9, 5, 0x21, 1, 0} }, none},
		"long header":           {func(m *made) { m.head = append(m.head, make([]byte, 15)...) }, none},
		"largest header":        {func(m *made) { m.head = append(m.head, make([]byte, 1015)...) }, none},
		"stream flags":          {func(m *made) { m.flags, m.footerFlags = []byte{0, 0x10}, []byte{0, 0x10} }, unsupported},
		"first stream flags":    {func(m *made) { m.flags, m.footerFlags = []byte{1, 0}, []byte{1, 0} }, unsupported},
		"reserved check":        {func(m *made) { m.flags, m.footerFlags = []byte{0, 2}, []byte{0, 2}; m.check = make([]byte, 4) }, unsupported},
		"other flags in footer": {func(m *made) { m.footerFlags = []byte{0, 1} }, corrupt},
		"wrong check": {func(m *made) {
			m.flags, m.footerFlags, m.check = []byte{0, 1}, []byte{0, 1}, make([]byte, 4)
		}, corrupt},
		"block flags":          {func(m *made) { m.head[0] = 4 }, unsupported},
		"header padding":       {func(m *made) { m.head = append(m.head, 0, 1, 0) }, unsupported},
		"no packed bytes":      {func(m *made) { m.head = []byte{0x40, 0, 0x21, 1, 0} }, corrupt},
		"more packed bytes":    {func(m *made) { m.head = []byte{0x40, 10, 0x21, 1, 0} }, corrupt},
		"fewer packed bytes":   {func(m *made) { m.head = []byte{0x40, 8, 0x21, 1, 0} }, corrupt},
		"many packed bytes":    {func(m *made) { m.head = []byte{0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x21, 1, 0} }, corrupt},
		"more unpacked bytes":  {func(m *made) { m.head = []byte{0x80, 6, 0x21, 1, 0} }, corrupt},
		"fewer unpacked bytes": {func(m *made) { m.head = []byte{0x80, 4, 0x21, 1, 0} }, corrupt},
		"no unpacked bytes":    {func(m *made) { m.head = []byte{0x80, 0, 0x21, 1, 0} }, corrupt},
		"long number":          {func(m *made) { m.head = []byte{0x80, 0x85, 0, 0x21, 1, 0} }, corrupt},
		"number of ten bytes": {func(m *made) {
			m.head = []byte{0x80, 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0x21, 1, 0}
		}, corrupt},
		"header ends in filters": {func(m *made) { m.head = []byte{0, 0x21, 4, 0, 0, 0, 0} }, corrupt},
		"unknown filter":         {func(m *made) { m.head = []byte{1, 0x7f, 0, 0x21, 1, 0} }, unsupported},
		"unknown last filter":    {func(m *made) { m.head = []byte{0, 0x7f, 0} }, unsupported},
		"delta is last":          {func(m *made) { m.head = []byte{0, 3, 1, 0} }, unsupported},
		"LZMA2 twice":            {func(m *made) { m.head = []byte{1, 0x21, 1, 0, 0x21, 1, 0} }, corrupt},
		"delta without distance": {func(m *made) { m.head = []byte{1, 3, 0, 0x21, 1, 0} }, corrupt},
		"half a start":           {func(m *made) { m.head = []byte{1, 4, 2, 0, 0, 0x21, 1, 0} }, corrupt},
		"start of ARM at 2":      {func(m *made) { m.head = []byte{1, 7, 4, 2, 0, 0, 0, 0x21, 1, 0} }, corrupt},
		"start of IA-64 at 8":    {func(m *made) { m.head = []byte{1, 6, 4, 8, 0, 0, 0, 0x21, 1, 0} }, corrupt},
		"LZMA2 without size":     {func(m *made) { m.head = []byte{0, 0x21, 0} }, corrupt},
		"dictionary of 6 GiB":    {func(m *made) { m.head[3] = 41 }, unsupported},
		"dictionary flags":       {func(m *made) { m.head[3] = 0x40 }, unsupported},
		"old dictionary":         {func(m *made) { m.chunks[0] = 2 }, corrupt},
		"unknown chunk":          {func(m *made) { m.chunks[0] = 3 }, corrupt},
		"packed, no properties":  {func(m *made) { m.chunks[0] = 0x80 }, corrupt},
		"packed, no dictionary":  {func(m *made) { m.chunks[0] = 0xc0 }, corrupt},
		"properties":             {func(m *made) { m.chunks = []byte("\xe0\x00\x04\x00\x06\x08hello\x00\x00\x00") }, corrupt},
		"highest properties":     {func(m *made) { m.chunks = []byte("\xe0\x00\x04\x00\x06\xe1hello\x00\x00\x00") }, corrupt},
		"block padding":          {func(m *made) { m.blockPadding[2] = 1 }, corrupt},
		"no block in the index":  {func(m *made) { m.records = []byte{0} }, corrupt},
		"two in the index":       {func(m *made) { m.records = []byte{2, 21, 5, 21, 5} }, corrupt},
		"very many in the index": {func(m *made) { m.records = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f} }, corrupt},
		"unpadded size":          {func(m *made) { m.records = []byte{1, 22, 5} }, corrupt},
		"unpacked size":          {func(m *made) { m.records = []byte{1, 21, 6} }, corrupt},
		"long number in index":   {func(m *made) { m.records = []byte{1, 21, 0x85, 0} }, corrupt},
		"index padding": {func(m *made) {
			m.head = append(m.head, make([]byte, 127)...) // makes the index five bytes long
			m.indexPadding = []byte{0, 0, 1}
		}, corrupt},
		"index checksum": {func(m *made) { m.indexSum = 1 }, corrupt},
		"backward size":  {func(m *made) { m.backward = 1 }, corrupt},
		"footer magic":   {func(m *made) { m.footerMagic = "YX" }, corrupt},
	} {
		m := hello()
		c.change(m)
		got, err := unpack(m.bytes(), xz.Options{})
		if !errors.Is(err, c.want) || err == nil && string(got) != "hello" {
			t.Errorf("%s: unpack = %q, %v, want %v", name, got, err, c.want)
		}
		if errors.Is(err, fault.ErrCorrupt) && errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("%s: %v is both", name, err)
		}
		_, toolErr := tool(t, m.bytes(), "-dc")
		var exit *exec.ExitError
		if (toolErr != nil) != (c.want != nil) || toolErr != nil && !errors.As(toolErr, &exit) {
			t.Errorf("%s: the xz program says %v", name, toolErr)
		}
	}
}

// TestChunks has chunks that are longer or shorter than what is in them, which
// the decoder alone would not see.
func TestChunks(t *testing.T) {
	plain := bytes.Repeat([]byte("again "), 50)
	packed := pack(t, plain, "--check=none --lzma2=dict=4KiB")
	data := int(binary.BigEndian.Uint16(packed[27:])) + 1 // behind the headers of stream and block
	chunk := packed[24:][:6+data]
	longer := append(bytes.Clone(chunk), 0)
	binary.BigEndian.PutUint16(longer[3:], uint16(data))
	shorter := bytes.Clone(chunk[:len(chunk)-1])
	binary.BigEndian.PutUint16(shorter[3:], uint16(data-2))
	swallow := append(bytes.Clone(chunk), 1, 0, 0, 'x') // a chunk inside a chunk
	binary.BigEndian.PutUint16(swallow[3:], uint16(data+3))
	for name, c := range map[string]struct {
		chunk    []byte
		unpacked int
		want     error
	}{
		"right":   {chunk, 300, nil},
		"longer":  {longer, 300, fault.ErrCorrupt},
		"shorter": {shorter, 300, fault.ErrCorrupt},
		"swallow": {swallow, 301, fault.ErrCorrupt},
	} {
		m := hello()
		m.chunks = append(c.chunk[:len(c.chunk):len(c.chunk)], 0)
		m.blockPadding = make([]byte, -len(m.chunks)&3)
		m.records = binary.AppendUvarint([]byte{1, byte(12 + len(m.chunks))}, uint64(c.unpacked))
		got, err := unpack(m.bytes(), xz.Options{})
		if !errors.Is(err, c.want) || err == nil && !bytes.Equal(got, plain) {
			t.Errorf("%s: unpack = %q, %v, want %v", name, got, err, c.want)
		}
		if _, err := tool(t, m.bytes(), "-dc"); (err != nil) != (c.want != nil) {
			t.Errorf("%s: the xz program says %v", name, err)
		}
	}
}
