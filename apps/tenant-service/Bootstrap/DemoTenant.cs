using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Services;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Bootstrap;

/// <summary>
/// The first start: a tenant <c>demo</c> with an owner and an API key, told once on the console. Secrets are random unless
/// <c>MAAP_BOOTSTRAP_API_KEY</c> and <c>MAAP_BOOTSTRAP_ADMIN_PASSWORD</c> set them.
/// </summary>
internal sealed class DemoTenant(ServiceDb<TenantDb> db, IConfiguration configuration, IOptions<DataOptions> data, Databases databases, TenantCreation creation, ServiceTopology topology) : IStartupTask, IStartedMessage
{
    private const string Slug = "demo";
    private const string OwnerEmail = "owner@demo.local";
    private const string KeyName = "Bootstrap";

    private string? _newKey;
    private string? _newPassword;
    private bool _created;

    // There from before the tenant is made until its secrets were shown: a start that fails in between (the port is
    // taken, say) must not leave a tenant that nobody can enter.
    private string UntoldMarker => Path.Combine(data.Value.Directory, ".first-start");

    // Of several replicas that start at once, one makes it.
    public Task RunAsync(CancellationToken cancellationToken) => db.ExclusivelyAsync("first start", () => CreateAsync(cancellationToken), cancellationToken);

    private async Task<bool> CreateAsync(CancellationToken cancellationToken)
    {
        await using TenantDb system = db.OpenSystem("first start");
        bool exists = await system.Tenants.AnyAsync(cancellationToken);
        if (exists && !File.Exists(UntoldMarker)) return false;

        string? givenKey = configuration["MAAP_BOOTSTRAP_API_KEY"], givenPassword = configuration["MAAP_BOOTSTRAP_ADMIN_PASSWORD"];
        if (givenKey is { Length: > 0 and < ApiKeySecret.MinLength })
            throw new StartupException($"MAAP_BOOTSTRAP_API_KEY has {givenKey.Length} characters; use at least {ApiKeySecret.MinLength}, or leave it out to get a random one.");
        if (givenPassword is { Length: > 0 } && Passwords.Problem(givenPassword, OwnerEmail) is { } problem)
            throw new StartupException($"MAAP_BOOTSTRAP_ADMIN_PASSWORD {problem}; leave it out to get a random one.");
        string key = string.IsNullOrEmpty(givenKey) ? ApiKeySecret.Generate() : givenKey;
        string password = string.IsNullOrEmpty(givenPassword) ? Passwords.Generate() : givenPassword;

        await File.WriteAllTextAsync(UntoldMarker, "", cancellationToken);
        if (exists) await ReplaceSecretsAsync(system, key, password, cancellationToken);
        else await creation.CreateAsync(new TenantBlueprint(Slug, "Demo", OwnerEmail, "Demo owner", password, key, KeyName), cancellationToken);
        (_newKey, _newPassword) = (string.IsNullOrEmpty(givenKey) ? key : null, string.IsNullOrEmpty(givenPassword) ? password : null);
        return _created = true;
    }

    public void Write(string url, TextWriter output)
    {
        // Clients talk to the front door, which may be another process.
        if (topology.Find(ServiceTopology.FrontDoor) is { } gateway) url = gateway.Urls[0].ToString().TrimEnd('/');
        else output.WriteLine($"Multi-AI-Agent Platform is running on {url} (data in {(databases.UsesPostgres ? "PostgreSQL" : Path.GetFullPath(data.Value.Directory))}). Open it in a browser to chat; the API reference is at {url}/docs; Ctrl-C stops it.");
        if (!_created) return;
        string shownKey = _newKey ?? "$MAAP_BOOTSTRAP_API_KEY";
        output.WriteLine();
        output.WriteLine("First start: the tenant 'demo' was created. These secrets are shown this once only:");
        output.WriteLine($"  API key         {_newKey ?? "(as set by MAAP_BOOTSTRAP_API_KEY)"}");
        output.WriteLine($"  Owner           {OwnerEmail}");
        output.WriteLine($"  Password        {_newPassword ?? "(as set by MAAP_BOOTSTRAP_ADMIN_PASSWORD)"}");
        if (_newKey is not null) output.WriteLine($"  Chat page       {url}/#key={_newKey}");
        output.WriteLine();
        output.WriteLine("Try it:");
        output.WriteLine($"  curl {url}/v1/chat/completions \\");
        output.WriteLine($"    -H \"Authorization: Bearer {shownKey}\" -H \"Content-Type: application/json\" \\");
        output.WriteLine("    -d '{\"model\":\"agent/assistant\",\"messages\":[{\"role\":\"user\",\"content\":\"What is 12 * (3 + 4)?\"}]}'");
        output.WriteLine();
        output.Flush();
        File.Delete(UntoldMarker);
    }

    private static async Task ReplaceSecretsAsync(TenantDb system, string key, string password, CancellationToken cancellationToken)
    {
        Tenant tenant = await system.Tenants.SingleAsync(t => t.Slug == Slug, cancellationToken);
        User owner = await system.Users.SingleAsync(u => u.TenantId == tenant.Id && u.Role == Role.Owner, cancellationToken);
        owner.PasswordHash = Passwords.Hash(password);
        await using var transaction = await system.Database.BeginTransactionAsync(cancellationToken);
        await system.ApiKeys.Where(k => k.TenantId == tenant.Id && k.Name == KeyName).ExecuteDeleteAsync(cancellationToken);
        ApiKey replacement = ApiKey.Create(KeyName, Scopes.All, key, owner.Id, tenant.CreatedAt);
        replacement.TenantId = tenant.Id;
        system.ApiKeys.Add(replacement);
        await system.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }
}
