using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using MultiAgent.Data.Migrations;
using Spectre.Console;

namespace MultiAgent.Maap.Db;

/// <summary><c>maap db</c>: the schemas of the services, and the roles that use them.</summary>
internal static class DbCommand
{
    private static readonly Option<string[]> Services = new("--service") { Description = "Of this service only; may be given several times.", Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = true };
    private static readonly Option<bool> Json = new("--json") { Description = "As JSON." };

    public static Command Create()
    {
        var db = new Command("db", "The databases: PostgreSQL where DATABASE_URL (or DATABASE_ADMIN_URL, which goes before it) is set, else the SQLite files in MAAP_DATA_DIR.");
        db.Subcommands.Add(Migrate());
        db.Subcommands.Add(Current());
        db.Subcommands.Add(Rollback());
        db.Subcommands.Add(InitRoles());
        return db;
    }

    private static Command Migrate()
    {
        var command = new Command("migrate", "Apply what the schemas lack. Safe beside running services, and several times at once.") { Services };
        command.SetAction((result, stop) => Target.RunAsync(async target =>
        {
            IReadOnlyList<string> applied = await target.MigrateAsync(target.Pick(result.GetValue(Services)), stop);
            foreach (string name in applied) Console.Out.WriteLine($"applied {name}");
            Console.Out.WriteLine(applied.Count == 0 ? "Nothing to apply." : $"{applied.Count.ToString(CultureInfo.InvariantCulture)} applied.");
            return 0;
        }, stop));
        return command;
    }

    private static Command Current()
    {
        var command = new Command("current", "Show what is applied, and what is not yet. Exit code 1 when something is pending.") { Services, Json };
        command.SetAction((result, stop) => Target.RunAsync(async target =>
        {
            IReadOnlyList<SchemaState> states = await target.CurrentAsync(target.Pick(result.GetValue(Services)), stop);
            if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(states, JsonSerializerOptions.Web));
            else Write(states);
            return states.Any(s => s.Pending.Count > 0) ? 1 : 0;
        }, stop));
        return command;
    }

    private static Command Rollback()
    {
        var service = new Argument<string>("service") { Description = "Whose newest migration is taken back." };
        var yes = new Option<bool>("--yes") { Description = "Do it. Without it the command says what it would do." };
        var command = new Command("rollback", "Take the newest migration of a service back, with the data that lies in what it made.") { service, yes };
        command.SetAction((result, stop) => Target.RunAsync(async target =>
        {
            string name = target.Pick([result.GetValue(service)!]).Single();
            if (!result.GetValue(yes))
            {
                string? newest = (await target.CurrentAsync([name], stop))[0].Applied.LastOrDefault();
                await Console.Error.WriteLineAsync(newest is null ? $"maap: nothing of {name} is applied." : $"maap: {name}/{newest} would be taken back, with the data that lies in what it made. Add --yes to do it.");
                return 1;
            }
            if (await target.RollbackAsync(name, stop) is not { } step)
            {
                await Console.Error.WriteLineAsync($"maap: nothing of {name} is applied.");
                return 1;
            }
            Console.Out.WriteLine($"took back {name}/{step}");
            return 0;
        }, stop));
        return command;
    }

    private static Command InitRoles()
    {
        var command = new Command("init-roles", $"""
            Make the roles {PostgresRoles.Owner} (owns the schemas and migrates) and {PostgresRoles.App} (what the services connect as), or set their rights anew. DATABASE_ADMIN_URL names
            a superuser, or a user with CREATEROLE who owns the database. Passwords are taken from MAAP_OWNER_PASSWORD and MAAP_APP_PASSWORD; a new role without one gets a random one, shown once.
            """.ReplaceLineEndings(" "));
        command.SetAction((_, stop) => Target.RunAsync(async target =>
        {
            foreach ((string role, string? password) in await target.InitRolesAsync(stop)) Console.Out.WriteLine(password is null ? $"{role}  (password as it was set)" : $"{role}  {password}");
            Console.Out.WriteLine("Services connect as the second: DATABASE_URL. Migrations as the first: DATABASE_ADMIN_URL.");
            return 0;
        }, stop));
        return command;
    }

    private static void Write(IReadOnlyList<SchemaState> states)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("service", "version", "applied at", "by", "pending");
        foreach (SchemaState state in states)
            table.AddRow([.. ((string[])[state.Service, state.Applied.LastOrDefault() ?? "-", state.AppliedAt?.ToString("u", CultureInfo.InvariantCulture) ?? "-", state.AppliedBy ?? "-", state.Pending.Count == 0 ? "-" : string.Join(", ", state.Pending)]).Select(Markup.Escape)]);
        // What is not a terminal has no edge to break lines at.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 250;
        AnsiConsole.Write(table);
    }
}

/// <summary>What is known of one service's schema.</summary>
/// <param name="AppliedAt">When the newest one was applied; unknown for SQLite.</param>
internal sealed record SchemaState(string Service, IReadOnlyList<string> Applied, IReadOnlyList<string> Pending, DateTimeOffset? AppliedAt, string? AppliedBy);
