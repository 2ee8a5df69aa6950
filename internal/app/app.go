// Package app is the program: its subcommands, how its parts are put together, and how they are stopped.
package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sellio/sellio-cart/internal/config"
)

// app is what the subcommands share.
type app struct {
	version        string
	environ        []string
	stdout, stderr io.Writer
}

// Run runs the program of that version and returns its exit code. It prints an error as one line, or as one line per
// invalid setting.
func Run(ctx context.Context, version string, args, environ []string, stdout, stderr io.Writer) int {
	a := &app{version: version, environ: environ, stdout: stdout, stderr: stderr}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		// Errors of the database driver go on over indented lines.
		message := strings.ReplaceAll(err.Error(), "\n\t", " ")
		for line := range strings.Lines(message) {
			fmt.Fprintln(stderr, "sellio-cart:", strings.TrimRight(line, "\n"))
		}
		return 1
	}
	return 0
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sellio-cart",
		Short: "The shopping-cart service of a marketplace of many vendors",
		Long: `Sellio Cart keeps the carts of a marketplace of many vendors, and serves them over REST and gRPC.

Without a subcommand it serves. It is configured by environment variables and a .env file in the
working directory; "sellio-cart config" shows all of them with the values in force.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          a.serve,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		&cobra.Command{Use: "serve", Short: "Serve REST and gRPC until SIGTERM or SIGINT (the default)", Args: cobra.NoArgs, RunE: a.serve},
		a.migrateCommand(),
		&cobra.Command{
			Use: "healthcheck", Short: "Exit with 0 if the service on ADMIN_PORT of this machine is alive, else with 1",
			Args: cobra.NoArgs, RunE: a.healthcheck,
		},
		&cobra.Command{Use: "config", Short: "Print the settings in force, passwords left out", Args: cobra.NoArgs, RunE: a.config},
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.stdout, "sellio-cart", a.version)
			return err
		}},
	)
	return root
}

// load reads the settings.
func (a *app) load() (config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(a.environ, dir)
}

func (a *app) config(*cobra.Command, []string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	for _, s := range cfg.Settings() {
		if _, err := fmt.Fprintf(a.stdout, "# %s\n%s=%s\n", s.Doc, s.Name, s.Value); err != nil {
			return err
		}
	}
	return nil
}
