package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/spf13/cobra"

	"github.com/sellio/sellio-cart/internal/config"
	"github.com/sellio/sellio-cart/internal/postgres"
	"github.com/sellio/sellio-cart/internal/sqlite"
)

func (a *app) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database schema up to date, or back",
		Long: `Migrate changes the schema of the database that DATABASE_URL names. A database of the Python service
is adopted in place: every cart keeps its id and its lines. Several instances may migrate at once; one
does the work and the others wait.`,
	}
	for _, c := range []struct {
		use, short string
		do         func(context.Context, migrator) error
	}{
		{"up", "Apply all pending migrations", a.migrateUp},
		{"down", "Take the newest migration back", a.migrateDown},
		{"status", "List the migrations and when they were applied", a.migrateStatus},
		{"version", "Print the version of the schema", a.migrateVersion},
	} {
		cmd.AddCommand(&cobra.Command{Use: c.use, Short: c.short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if c.use == "down" {
				if err := refuseBridged(cmd.Context(), cfg); err != nil {
					return err
				}
			}
			return withMigrator(cmd.Context(), cfg, c.do)
		}})
	}
	cmd.AddCommand(a.bridgeCommand())
	return cmd
}

// migrator is a [goose.Provider], or a type that extends one.
type migrator interface {
	Up(context.Context) ([]*goose.MigrationResult, error)
	Down(context.Context) (*goose.MigrationResult, error)
	Status(context.Context) ([]*goose.MigrationStatus, error)
	GetVersions(context.Context) (have, newest int64, err error)
}

// withMigrator calls do with a migrator of the configured database.
func withMigrator(ctx context.Context, cfg config.Config, do func(context.Context, migrator) error) (err error) {
	var (
		m      migrator
		closer func() error
	)
	if cfg.DatabaseURL.Kind() == config.SQLite {
		m, closer, err = sqlite.Migrator(ctx, cfg.DatabaseURL.DSN())
	} else {
		m, closer, err = postgres.Migrator(cfg.DatabaseURL.DSN())
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	return do(ctx, m)
}

func (a *app) migrateUp(ctx context.Context, p migrator) error {
	results, err := p.Up(ctx)
	for _, r := range results {
		fmt.Fprintf(a.stdout, "applied %s\n", r.Source.Path)
	}
	if err != nil {
		return err
	}
	return a.migrateVersion(ctx, p)
}

func (a *app) migrateDown(ctx context.Context, p migrator) error {
	if have, newest, err := p.GetVersions(ctx); err != nil {
		return err
	} else if have > newest {
		return fmt.Errorf("the schema is at version %d, and this program knows no migration after %d: take it back with the newer program", have, newest)
	}
	result, err := p.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		return errors.New("there is no migration to take back")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "took back %s\n", result.Source.Path)
	return a.migrateVersion(ctx, p)
}

func (a *app) migrateStatus(ctx context.Context, p migrator) error {
	migrations, err := p.Status(ctx)
	if err != nil {
		return err
	}
	for _, m := range migrations {
		applied := "pending"
		if m.State == goose.StateApplied {
			applied = m.AppliedAt.UTC().Format("2006-01-02 15:04:05Z")
		}
		fmt.Fprintf(a.stdout, "%-20s  %s\n", applied, m.Source.Path)
	}
	if have, newest, err := p.GetVersions(ctx); err != nil || have <= newest {
		return err
	}
	return a.migrateVersion(ctx, p)
}

func (a *app) migrateVersion(ctx context.Context, p migrator) error {
	have, newest, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > newest {
		fmt.Fprintf(a.stdout, "the schema is at version %d, newer than the %d of this program, which can serve it: nothing is to be done\n", have, newest)
		return nil
	}
	fmt.Fprintf(a.stdout, "the schema is at version %d of %d\n", have, newest)
	return nil
}
