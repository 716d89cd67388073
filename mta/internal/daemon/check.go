package daemon

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime/debug"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
)

// Check returns all that a start with that file would refuse, without
// starting: plugins are built, loaded and configured, certificates read and
// addresses bound for a moment. While a server runs on the file, the addresses
// are its own and not looked at.
func Check(ctx context.Context, file string, log *slog.Logger) (config.Findings, error) {
	cfg, findings := LoadConfig(file)
	if len(findings) > 0 {
		return findings, nil
	}
	if err := makeFolders(cfg.State); err != nil {
		return nil, err
	}
	collect := func(err error) error {
		if f, ok := errors.AsType[config.Findings](err); ok {
			findings = append(findings, f...)
			return nil
		}
		return err
	}
	_, runtime, err := loadPipeline(ctx, cfg, surroundings{log: log})
	if err := collect(err); err != nil {
		return nil, err
	}
	if runtime != nil {
		defer runtime.Close(ctx)
	}
	if err := collect(new(certificate).load(cfg)); err != nil {
		return nil, err
	}
	if err := collect(checkStore(ctx, cfg, log)); err != nil {
		return nil, err
	}
	dir, err := account.New(accountConfig(cfg), account.OpenFile(filepath.Join(cfg.State, accountsFile), log), account.NewGuard(), log)
	if err != nil {
		return nil, err
	}
	if err := collect(refuseDemo(ctx, cfg, dir)); err != nil {
		return nil, err
	}
	client := admin.Connect(cfg.State, "")
	defer client.Close()
	if _, err := client.About(ctx); err != nil {
		findings = append(findings, cfg.CheckListen(ctx)...)
	}
	return findings, nil
}

// Version is that of the module this binary was built from.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
