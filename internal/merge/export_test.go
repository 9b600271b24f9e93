package merge

// Before has f called before each call that changes something. If it returns an
// error the call fails with that.
func (o *Options) Before(f func(call string) error) { o.before = f }
