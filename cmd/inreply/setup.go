package main

import (
	"context"
	"errors"
	"fmt"

	"inreply"
	"inreply/configs"
)

// runSetup makes what the settings name at an emulator, and lists it.
func (a app) runSetup(ctx context.Context) error {
	if a.config == "" {
		return errors.New("--setup needs --config: it names what is to be made, and where")
	}
	config, err := configs.Load(a.config, a.environ)
	if err != nil {
		return err
	}
	clients, err := inreply.NewClients(ctx, config.AWS)
	if err != nil {
		return err
	}
	return inreply.Setup(ctx, config, clients, func(became, resource string) {
		fmt.Fprintf(a.stdout, "%-8s  %s\n", became, resource)
	})
}
