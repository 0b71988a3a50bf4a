namespace MultiAgent.Contracts.Identity;

/// <summary>
/// What a caller may do. An API key carries a set of scopes; a user's scopes follow from the role. Every endpoint
/// requires exactly one. The wire name of a scope is in <see cref="ScopeNames"/>.
/// </summary>
[Flags]
public enum Scopes : uint
{
    None = 0,
    /// <summary><c>models:invoke</c>: call models, embeddings and agents.</summary>
    ModelsInvoke = 1 << 0,
    /// <summary><c>agents:read</c></summary>
    AgentsRead = 1 << 1,
    /// <summary><c>agents:write</c></summary>
    AgentsWrite = 1 << 2,
    /// <summary><c>runs:read</c>: runs, conversations and messages.</summary>
    RunsRead = 1 << 3,
    /// <summary><c>runs:write</c>: start and cancel runs, write to conversations, give feedback.</summary>
    RunsWrite = 1 << 4,
    /// <summary><c>journeys:write</c>: record journeys and steps.</summary>
    JourneysWrite = 1 << 5,
    /// <summary><c>analytics:read</c>: usage and journeys.</summary>
    AnalyticsRead = 1 << 6,
    /// <summary><c>keys:manage</c>: list, create and revoke API keys.</summary>
    KeysManage = 1 << 7,
    /// <summary><c>users:manage</c>: list, invite and change users and roles.</summary>
    UsersManage = 1 << 8,
    /// <summary><c>tenant:manage</c>: settings of the tenant itself.</summary>
    TenantManage = 1 << 9,

    All = (1 << 10) - 1,
}

/// <summary>Wire names of scopes and the scopes of each role.</summary>
public static class ScopeNames
{
    private static readonly (Scopes Scope, string Name)[] Table =
    [
        (Scopes.ModelsInvoke, "models:invoke"),
        (Scopes.AgentsRead, "agents:read"),
        (Scopes.AgentsWrite, "agents:write"),
        (Scopes.RunsRead, "runs:read"),
        (Scopes.RunsWrite, "runs:write"),
        (Scopes.JourneysWrite, "journeys:write"),
        (Scopes.AnalyticsRead, "analytics:read"),
        (Scopes.KeysManage, "keys:manage"),
        (Scopes.UsersManage, "users:manage"),
        (Scopes.TenantManage, "tenant:manage"),
    ];

    /// <summary>All wire names, in the order of the flags.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Table.Select(t => t.Name)];

    /// <summary>The wire names contained in a set, in the order of the flags.</summary>
    public static IReadOnlyList<string> ToNames(Scopes scopes) =>
        [.. Table.Where(t => scopes.HasFlag(t.Scope)).Select(t => t.Name)];

    /// <summary>Parses one wire name; false when no scope has it.</summary>
    public static bool TryParse(string name, out Scopes scope)
    {
        foreach ((Scopes candidate, string known) in Table)
        {
            if (known != name) continue;
            scope = candidate;
            return true;
        }
        scope = Scopes.None;
        return false;
    }

    /// <summary>What a user with the given role may do.</summary>
    public static Scopes Of(Role role) => role switch
    {
        Role.Owner => Scopes.All,
        Role.Admin => Scopes.All & ~Scopes.TenantManage,
        Role.Developer => Scopes.All & ~(Scopes.TenantManage | Scopes.UsersManage),
        Role.Analyst => Scopes.AgentsRead | Scopes.RunsRead | Scopes.AnalyticsRead | Scopes.ModelsInvoke,
        Role.Viewer => Scopes.AgentsRead | Scopes.RunsRead,
        _ => Scopes.None,
    };
}
