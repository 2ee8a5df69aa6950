// Package chaos checks that no fault loses or doubles a write. Its tests run the real program as two processes on one
// database. Clients put load on them and keep a ledger: which writes were acknowledged, and which have an unknown outcome.
// Meanwhile the tests kill processes, cut connections, fill the disk and lock rows. Then they compare the stored carts
// with the ledger. docs/reliability.md states the promises.
//
// Each fault strikes once under go test, and many times under make chaos. The tests need Linux, which can limit the size
// of the files of a running process: so the tests simulate a full disk without privileges.
package chaos
