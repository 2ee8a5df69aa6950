package rpc

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake gives every call the same carts or error, and records the calls.
type fake struct {
	answer func(ctx context.Context) ([]*cart.Cart, error)

	replays bool

	mu    sync.Mutex
	asked []any
}

func (f *fake) ask(ctx context.Context, what any) ([]*cart.Cart, error) {
	f.mu.Lock()
	f.asked = append(f.asked, what)
	f.mu.Unlock()
	return f.answer(ctx)
}

func (f *fake) one(ctx context.Context, what any) (*cart.Cart, error) {
	carts, err := f.ask(ctx, what)
	if err != nil {
		return nil, err
	}
	return carts[0], nil
}

// Do remembers the command of a plain request, and any other request.
func (f *fake) Do(ctx context.Context, r cart.Request) (cart.Result, error) {
	what := any(r)
	if r.Joint == nil && r.Key == "" && r.Match == nil {
		what = r.Command
	}
	carts, err := f.ask(ctx, what)
	if err != nil {
		return cart.Result{}, err
	}
	return cart.Result{Cart: carts[0], Carts: carts, Replayed: f.replays}, nil
}

func (f *fake) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	carts, err := f.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	b := cart.BasketOf(carts)
	b.Owner = q.Owner
	return b, nil
}

func (f *fake) Merge(ctx context.Context, m cart.Merge) (*cart.Merged, error) {
	carts, err := f.ask(ctx, m)
	if err != nil {
		return nil, err
	}
	return &cart.Merged{
		Carts:  []cart.MergedCart{{CompanyID: 1, From: 2, Into: 3, Result: cart.ResultMerged, Status: cart.Active, Left: []int64{4}}},
		Basket: cart.BasketOf(carts),
	}, nil
}

func (f *fake) Get(ctx context.Context, ref cart.Ref) (*cart.Cart, error) { return f.one(ctx, ref) }
func (f *fake) GetMany(ctx context.Context, ids []int64) ([]*cart.Cart, error) {
	return f.ask(ctx, ids)
}

func (f *fake) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	return f.ask(ctx, l)
}

// always returns a fake that answers with the carts.
func always(carts ...*cart.Cart) *fake {
	return &fake{answer: func(context.Context) ([]*cart.Cart, error) { return carts, nil }}
}

// failing returns a fake that answers with the error.
func failing(err error) *fake {
	return &fake{answer: func(context.Context) ([]*cart.Cart, error) { return nil, err }}
}

var discard = slog.New(slog.DiscardHandler)

// serve starts a server for the test and returns it with a connection to it.
func serve(t testing.TB, carts cart.Service, o Options, dial ...grpc.DialOption) (*Server, *grpc.ClientConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = time.Minute
	}
	if o.ClientTimeout == 0 {
		o.ClientTimeout = time.Minute
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = time.Minute
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 100
	}
	if o.Logger == nil {
		o.Logger = discard
	}
	s := New(carts, o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		// The test's own context has ended. The deadline cuts off any request that the test left in flight.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("Shutdown:", err)
		}
		if err := <-served; err != nil {
			t.Error("Serve:", err)
		}
	})
	return s, conn
}

// client starts a server for the test and returns a client of it.
func client(t *testing.T, carts cart.Service, o Options) cartv1.CartServiceClient {
	t.Helper()
	_, conn := serve(t, carts, o)
	return cartv1.NewCartServiceClient(conn)
}

// sample is a cart with a bit of everything.
func sample() *cart.Cart {
	user, cookie := int64(7), "c-1"
	created := time.Date(2024, 2, 29, 23, 59, 58, 123456000, time.FixedZone("", 3*3600))
	return &cart.Cart{
		ID: 11, CompanyID: 5, UserID: &user, Cookie: &cookie, Status: cart.Locked, Version: 3,
		CreatedAt: created, UpdatedAt: created.Add(time.Hour).Truncate(time.Second),
		Items: []cart.Item{
			{ProductID: 1, Name: "Tea, 茶", Price: 19_99, Quantity: 3},
			{ProductID: 2, Name: "Cup", Price: cart.MaxPrice, Quantity: cart.MaxQuantity},
			{ProductID: 3, Name: "Gift", Price: 0, Quantity: 1},
		},
	}
}
