using System.Buffers.Text;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Bootstrap;

/// <summary>
/// The first start: a tenant <c>demo</c> with an owner and an API key, told once on the console. Secrets are random unless
/// <c>MAAP_BOOTSTRAP_API_KEY</c> and <c>MAAP_BOOTSTRAP_ADMIN_PASSWORD</c> set them.
/// </summary>
internal sealed class DemoTenant(ServiceDb<TenantDb> db, IConfiguration configuration, IEnumerable<ITenantSeeder> seeders, TimeProvider time) : IStartupTask, IStartedMessage
{
    private const string OwnerEmail = "owner@demo.local";
    private const int MinPasswordLength = 12;

    private string? _newKey;
    private string? _newPassword;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using TenantDb system = db.OpenSystem("first start");
        if (await system.Tenants.AnyAsync(cancellationToken)) return;

        string? givenKey = configuration["MAAP_BOOTSTRAP_API_KEY"], givenPassword = configuration["MAAP_BOOTSTRAP_ADMIN_PASSWORD"];
        if (givenKey is { Length: > 0 and < ApiKeySecret.MinLength })
            throw new StartupException($"MAAP_BOOTSTRAP_API_KEY has {givenKey.Length} characters; use at least {ApiKeySecret.MinLength}, or leave it out to get a random one.");
        if (givenPassword is { Length: > 0 and < MinPasswordLength })
            throw new StartupException($"MAAP_BOOTSTRAP_ADMIN_PASSWORD has {givenPassword.Length} characters; use at least {MinPasswordLength}, or leave it out to get a random one.");
        string key = string.IsNullOrEmpty(givenKey) ? ApiKeySecret.Generate() : givenKey;
        string password = string.IsNullOrEmpty(givenPassword) ? Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(15)) : givenPassword;

        DateTimeOffset now = time.GetUtcNow();
        var tenant = new Tenant { Id = Ids.New("ten", now), Slug = "demo", Name = "Demo", CreatedAt = now };
        var owner = new User
        {
            Id = Ids.New("usr", now),
            TenantId = tenant.Id,
            Email = OwnerEmail,
            NormalizedEmail = User.Normalize(OwnerEmail),
            Name = "Demo owner",
            Role = Role.Owner,
            CreatedAt = now,
        };
        owner.PasswordHash = new PasswordHasher<User>().HashPassword(owner, password);
        system.Tenants.Add(tenant);
        system.Users.Add(owner);
        system.ApiKeys.Add(new ApiKey
        {
            Id = Ids.New("key", now),
            TenantId = tenant.Id,
            Name = "Bootstrap",
            Prefix = ApiKeySecret.PrefixOf(key),
            SecretHash = ApiKeySecret.HashOf(key),
            Scopes = string.Join(' ', ScopeNames.All),
            CreatedBy = owner.Id,
            CreatedAt = now,
        });
        // The examples come first: a crash in between leaves no tenant, and the next start does it all again.
        foreach (ITenantSeeder seeder in seeders) await seeder.SeedAsync(tenant.Id, cancellationToken);
        await system.SaveChangesAsync(cancellationToken);
        (_newKey, _newPassword) = (string.IsNullOrEmpty(givenKey) ? key : null, string.IsNullOrEmpty(givenPassword) ? password : null);
        FirstStart = true;
    }

    private bool FirstStart { get; set; }

    public void Write(string url, TextWriter output)
    {
        string data = Path.GetFullPath(configuration["MAAP_DATA_DIR"] ?? configuration["Data:Directory"] ?? "data");
        output.WriteLine($"Multi-AI-Agent Platform is running on {url} (data in {data}). Open it in a browser to chat; the API reference is at {url}/docs; Ctrl-C stops it.");
        if (!FirstStart) return;
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
    }
}
