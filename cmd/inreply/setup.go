package main

import (
	"context"
	"errors"
	"fmt"

	"inreply"
)

// runSetup makes what the settings name at an emulator, and lists it.
func (a app) runSetup(ctx context.Context) error {
	if a.config == "" {
		return errors.New("--setup needs --config: it names what is to be made, and where")
	}
	config, clients, err := a.operator(ctx)
	if err != nil {
		return err
	}
	return inreply.Setup(ctx, config, clients, func(became, resource string) {
		fmt.Fprintf(a.stdout, "%-8s  %s\n", became, resource)
	})
}
