using System.Text.Json;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>How a change of a source ended.</summary>
internal enum SourceOutcome
{
    Done,
    NotFound,
    SlugTaken,
    TooMany,
    Changed,
    /// <summary>There is nowhere to read it from again.</summary>
    NothingToRead,
}

/// <summary>A changed source, and what of it could not be taken.</summary>
internal sealed record SourceChange(SourceOutcome Outcome, ToolSourceEntity? Entity = null, IReadOnlyList<string>? Skipped = null);

/// <summary>Changes sources of tools. Requests are checked by the caller.</summary>
internal sealed class ToolSourceCommands(ServiceDb<OrchestratorDb> db, ToolSourceReader reader, TenantTools tools, TimeProvider time)
{
    public const int MaxSources = 100;

    /// <exception cref="SourceReadException">What it offers cannot be read; nothing was stored.</exception>
    public async Task<SourceChange> CreateAsync(string tenantId, ToolSourceSpec request, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using OrchestratorDb context = db.Open(tenantId);
        if (await context.ToolSources.AnyAsync(s => s.Slug == request.Slug, cancellationToken)) return new SourceChange(SourceOutcome.SlugTaken);
        if (await context.ToolSources.CountAsync(cancellationToken) >= MaxSources) return new SourceChange(SourceOutcome.TooMany);
        string id = Ids.New("tsrc", now);
        (ToolSourceSpec spec, SourceSecrets secrets) = Split(request);
        SourceReading reading = await reader.ReadAsync(reader.Make(id, tenantId, spec, secrets, []), request.OpenApi?.Document, cancellationToken) ?? throw new SourceReadException("There is no document to read.");
        var entity = new ToolSourceEntity
        {
            Id = id,
            TenantId = tenantId,
            Slug = spec.Slug!,
            Kind = spec.Kind!,
            Definition = JsonSerializer.Serialize(spec, ToolSourceJson.Default.ToolSourceSpec),
            Secrets = reader.Encrypt(tenantId, secrets),
            Tools = JsonSerializer.Serialize(reading.Tools, ToolSourceJson.Default.IReadOnlyListImportedTool),
            Revision = 1,
            CreatedAt = now,
            UpdatedAt = now,
            RefreshedAt = now,
        };
        context.Add(entity);
        return await SaveAsync(context, entity, reading.Skipped, SourceOutcome.SlugTaken, cancellationToken);
    }

    /// <summary>Replaces a source. Credentials that are left out stay, as do the operations when no document is given.</summary>
    /// <exception cref="SourceReadException">What it offers cannot be read; nothing was changed.</exception>
    public async Task<SourceChange> UpdateAsync(string tenantId, string slug, ToolSourceSpec request, int? expected, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        if (await context.ToolSources.SingleOrDefaultAsync(s => s.Slug == slug, cancellationToken) is not { } entity) return new SourceChange(SourceOutcome.NotFound);
        if (expected is { } number && number != entity.Revision) return new SourceChange(SourceOutcome.Changed);
        ToolSource old = reader.Load(entity);
        (ToolSourceSpec spec, SourceSecrets secrets) = Split(request);
        if (request.Auth is null) (spec, secrets) = (spec with { Auth = old.Spec.Auth }, old.Secrets);
        // A secret that is left out is the one that there is, as long as it goes to the same place.
        else if (request.Auth.OAuth is { ClientSecret: null } oauth && oauth.TokenUrl == old.Spec.Auth?.OAuth?.TokenUrl) secrets = secrets with { ClientSecret = old.Secrets.ClientSecret };
        SourceReading? reading = await reader.ReadAsync(reader.Make(entity.Id, tenantId, spec, secrets, []), request.OpenApi?.Document, cancellationToken);
        if (reading is null && !Same(spec.OpenApi, old.Spec.OpenApi)) throw new SourceReadException("The document is not kept: send it again with a change of 'openApi'.");
        if (request.Auth?.Headers is null && reading is not null) CheckPlace(old, spec, reading);
        entity.Definition = JsonSerializer.Serialize(spec, ToolSourceJson.Default.ToolSourceSpec);
        entity.Secrets = reader.Encrypt(tenantId, secrets);
        Take(entity, reading);
        return await SaveAsync(context, entity, reading?.Skipped, SourceOutcome.Changed, cancellationToken);
    }

    /// <summary>Reads again what a source offers. When that fails it keeps the tools that it has, and says so.</summary>
    public async Task<SourceChange> RefreshAsync(string tenantId, string slug, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        if (await context.ToolSources.SingleOrDefaultAsync(s => s.Slug == slug, cancellationToken) is not { } entity) return new SourceChange(SourceOutcome.NotFound);
        IReadOnlyList<string>? skipped = null;
        try
        {
            ToolSource source = reader.Load(entity);
            if (await reader.ReadAsync(source, null, cancellationToken) is not { } reading) return new SourceChange(SourceOutcome.NothingToRead);
            CheckPlace(source, source.Spec, reading);
            Take(entity, reading);
            skipped = reading.Skipped;
        }
        catch (SourceReadException e)
        {
            (entity.Problem, entity.UpdatedAt) = (e.Message, time.GetUtcNow());
            entity.Revision++;
        }
        return await SaveAsync(context, entity, skipped, SourceOutcome.Changed, cancellationToken);
    }

    public async Task<SourceOutcome> DeleteAsync(string tenantId, string slug, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        if (await context.ToolSources.Where(s => s.Slug == slug).ExecuteDeleteAsync(cancellationToken) == 0) return SourceOutcome.NotFound;
        tools.Changed(tenantId);
        return SourceOutcome.Done;
    }

    private void Take(ToolSourceEntity entity, SourceReading? reading)
    {
        DateTimeOffset now = time.GetUtcNow();
        entity.Revision++;
        entity.UpdatedAt = now;
        if (reading is null) return;
        entity.Tools = JsonSerializer.Serialize(reading.Tools, ToolSourceJson.Default.IReadOnlyListImportedTool);
        (entity.Problem, entity.RefreshedAt) = (null, now);
    }

    private async Task<SourceChange> SaveAsync(OrchestratorDb context, ToolSourceEntity entity, IReadOnlyList<string>? skipped, SourceOutcome conflict, CancellationToken cancellationToken)
    {
        try
        {
            await context.SaveChangesAsync(cancellationToken);
        }
        catch (DbUpdateException e) when (e is DbUpdateConcurrencyException || e.InnerException is SqliteException { SqliteExtendedErrorCode: 2067 or 1555 } || PostgresFaults.IsDuplicate(e))
        {
            return new SourceChange(conflict);
        }
        tools.Changed(entity.TenantId);
        return new SourceChange(SourceOutcome.Done, entity, skipped);
    }

    /// <summary>What is stored as it is, and what is encrypted.</summary>
    private static (ToolSourceSpec Spec, SourceSecrets Secrets) Split(ToolSourceSpec request)
    {
        IReadOnlyDictionary<string, string>? headers = request.Auth?.Headers is { Count: > 0 } given ? given : null;
        ToolSourceSpec spec = request with
        {
            OpenApi = request.OpenApi is null ? null : request.OpenApi with { Document = null },
            Auth = request.Auth is null ? null : new SourceAuth
            {
                Headers = headers?.ToDictionary(h => h.Key, _ => ""),
                OAuth = request.Auth.OAuth is null ? null : request.Auth.OAuth with { ClientSecret = null },
            },
        };
        return (spec, new SourceSecrets(headers, request.Auth?.OAuth?.ClientSecret));
    }

    /// <summary>Credentials that nobody can read must not be had by sending them elsewhere.</summary>
    private static void CheckPlace(ToolSource old, ToolSourceSpec spec, SourceReading reading)
    {
        if (old.Secrets is { Headers: null, ClientSecret: null }) return;
        HashSet<string> known = [.. Places(old.Spec, old.Tools.OfType<SourceTool>().Select(t => t.Imported))];
        if (Places(spec, reading.Tools).FirstOrDefault(p => !known.Contains(p)) is { } elsewhere)
            throw new SourceReadException($"The source has moved to {elsewhere}. Send its credentials again in 'auth', if they are meant for there.");
    }

    private static IEnumerable<string> Places(ToolSourceSpec spec, IEnumerable<ImportedTool> tools) =>
        (spec.Mcp?.Url is { } url ? [url] : tools.Select(t => t.Http?.Url).OfType<string>()).Select(u => new Uri(u.Split('{')[0]).GetLeftPart(UriPartial.Authority));

    private static bool Same(OpenApiSpec? a, OpenApiSpec? b) => a?.ServerUrl == b?.ServerUrl && a?.IdempotencyHeader == b?.IdempotencyHeader && (a?.Operations ?? []).SequenceEqual(b?.Operations ?? []);
}
