package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sellio/sellio-cart/internal/config"
	"github.com/sellio/sellio-cart/internal/postgres"
)

func (a *app) bridgeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bridge",
		Short: "Let the Python service write to the same database for a while",
		Long: `Bridge installs and removes triggers that keep the Python service and this one from overwriting each
other's changes while both write to one PostgreSQL database. DATABASE_URL must name the role that owns the tables.
docs/moving-over.md has the steps.`,
		Args: cobra.NoArgs,
	}
	for _, c := range []struct {
		use, short string
		do         func(context.Context, *postgres.Bridge) error
	}{
		{"on", "Install the triggers, or mend them", func(ctx context.Context, b *postgres.Bridge) error { return b.On(ctx) }},
		{"off", "Remove the triggers and their functions", func(ctx context.Context, b *postgres.Bridge) error { return b.Off(ctx) }},
		{"status", "Say whether the bridge is on; exit with 1 if only a part of it is", func(context.Context, *postgres.Bridge) error { return nil }},
	} {
		cmd.AddCommand(&cobra.Command{Use: c.use, Short: c.short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			return withBridge(cmd.Context(), cfg, func(ctx context.Context, b *postgres.Bridge) error {
				if err := c.do(ctx, b); err != nil {
					return err
				}
				return a.printBridge(ctx, b)
			})
		}})
	}
	return cmd
}

// withBridge calls do with the bridge of the configured database.
func withBridge(ctx context.Context, cfg config.Config, do func(context.Context, *postgres.Bridge) error) (err error) {
	if cfg.DatabaseURL.Kind() == config.SQLite {
		return errors.New("there is nothing to bridge: DATABASE_URL names an SQLite file, and the Python service uses PostgreSQL")
	}
	b, err := postgres.OpenBridge(ctx, cfg.DatabaseURL.DSN())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(context.WithoutCancel(ctx))) }()
	return do(ctx, b)
}

func (a *app) printBridge(ctx context.Context, b *postgres.Bridge) error {
	state, err := b.State(ctx)
	switch {
	case err != nil:
		return err
	case state.On():
		fmt.Fprintln(a.stdout, "the bridge is on")
	case state.Off():
		fmt.Fprintln(a.stdout, "the bridge is off")
	default:
		return fmt.Errorf("a part of the bridge is missing, disabled or of another release (%s): run `sellio-cart migrate bridge on` or `off`",
			strings.Join(state.Amiss, ", "))
	}
	return nil
}

// refuseBridged returns an error if the bridge, or a part of it, is installed: the bridge needs what migrations have
// added.
func refuseBridged(ctx context.Context, cfg config.Config) error {
	if cfg.DatabaseURL.Kind() == config.SQLite {
		return nil
	}
	return withBridge(ctx, cfg, func(ctx context.Context, b *postgres.Bridge) error {
		state, err := b.State(ctx)
		if err == nil && !state.Off() {
			err = errors.New("the bridge needs the schema as it is: run `sellio-cart migrate bridge off` first")
		}
		return err
	})
}

// warnOfBridge logs that the bridge is installed, since it may have been forgotten.
func warnOfBridge(ctx context.Context, store *postgres.Store, log *slog.Logger) error {
	state, err := store.Bridge(ctx)
	switch {
	case err != nil:
		return err
	case state.On():
		log.Warn("The bridge to the Python service is on. Once that service has stopped, run `sellio-cart migrate bridge off`.")
	case !state.Off():
		log.Warn("A part of the bridge to the Python service is missing, disabled or of another release. Run `sellio-cart migrate bridge on` or `off`.",
			"amiss", state.Amiss)
	}
	return nil
}
