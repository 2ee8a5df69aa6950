package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/config"
)

// newAuthenticator returns the authenticator of callers, nil if every caller is trusted.
func newAuthenticator(ctx context.Context, cfg config.Config, log *slog.Logger) (*auth.Authenticator, error) {
	if cfg.AuthMode == "none" {
		if cfg.Prod() {
			log.Warn("Every caller is trusted with every cart, since AUTH_MODE is none. Only the network keeps others out.")
		}
		return nil, nil
	}
	tokens, err := cfg.ServiceTokens()
	if err != nil {
		return nil, err
	}
	o := auth.Options{Tokens: tokens, Logger: log}
	if cfg.AuthMode == "jwt" {
		o.JWT = &auth.JWT{Issuer: cfg.AuthJWTIssuer, Audience: cfg.AuthJWTAudience, JWKS: cfg.AuthJWKS}
	}
	who, err := auth.New(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("AUTH_JWKS=%q: %w", cfg.AuthJWKS, err)
	}
	return who, nil
}

// guard keeps authenticated callers away from the carts of others.
func guard(carts cart.Service, who *auth.Authenticator) cart.Service {
	if who == nil {
		return carts
	}
	return auth.NewGuard(carts)
}
