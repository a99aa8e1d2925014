package main

import (
	"context"
	"database/sql"
	"errors"
)

// statementsMost bounds what a connection keeps prepared: filters come in any number of shapes.
const statementsMost = 256

// connection is one connection to the file, whose statements are prepared once. One goroutine
// uses it at a time.
type connection struct {
	conn *sql.Conn
	kept map[string]*sql.Stmt
}

// connect opens count connections.
func connect(ctx context.Context, source string, count int) (*sql.DB, []*connection, error) {
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, nil, err
	}
	var connections []*connection
	for range count {
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		connections = append(connections, &connection{conn: conn, kept: map[string]*sql.Stmt{}})
	}
	return db, connections, nil
}

// close closes the connection; its pool is closed by itself.
func (c *connection) close() error {
	var all error
	for _, statement := range c.kept {
		all = errors.Join(all, statement.Close())
	}
	return errors.Join(all, c.conn.Close())
}

// transaction runs work between begin and COMMIT, or ROLLBACK where work fails.
func (c *connection) transaction(ctx context.Context, begin string, work func() error) error {
	if err := c.exec(ctx, begin); err != nil {
		return err
	}
	// The end is reached whether the caller waits for it or not.
	ctx = context.WithoutCancel(ctx)
	defer func() {
		if recover := recover(); recover != nil {
			_ = c.exec(ctx, "ROLLBACK")
			panic(recover)
		}
	}()
	if err := work(); err != nil {
		return errors.Join(err, c.exec(ctx, "ROLLBACK"))
	}
	if err := c.exec(ctx, "COMMIT"); err != nil {
		// SQLite may have rolled back by itself, and then has nothing left to.
		_ = c.exec(ctx, "ROLLBACK")
		return err
	}
	return nil
}

func (c *connection) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if kept := c.kept[query]; kept != nil {
		return kept, nil
	}
	if len(c.kept) >= statementsMost {
		for oldest, kept := range c.kept { // any will do
			delete(c.kept, oldest)
			if err := kept.Close(); err != nil {
				return nil, err
			}
			break
		}
	}
	made, err := c.conn.PrepareContext(ctx, query)
	if err == nil {
		c.kept[query] = made
	}
	return made, err
}

// script runs several statements without values, once.
func (c *connection) script(ctx context.Context, text string) error {
	_, err := c.conn.ExecContext(ctx, text)
	return err
}

func (c *connection) exec(ctx context.Context, query string, values ...any) error {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return err
	}
	_, err = statement.ExecContext(ctx, values...)
	return err
}

func (c *connection) query(ctx context.Context, query string, values ...any) (*sql.Rows, error) {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, values...)
}

// get reads the columns of one row; sql.ErrNoRows where there is none.
func (c *connection) get(ctx context.Context, query string, values []any, columns ...any) error {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return err
	}
	return statement.QueryRowContext(ctx, values...).Scan(columns...)
}
