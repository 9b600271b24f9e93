package customize

import (
	"context"
	"errors"
)

func (p *planner) needInInitrd(context.Context, string) error { return errors.New("later") }
