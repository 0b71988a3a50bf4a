using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Limits;

namespace MultiAgent.Hosting.Idempotency;

/// <summary>Endpoint metadata: <c>Idempotency-Key</c> is honoured by the host, which keeps the whole answer.</summary>
/// <param name="Owner">
/// For endpoints without a caller: whose keys they are, or null for a request that will be refused. Null: the caller's tenant.
/// </param>
public sealed record IdempotentEndpoint(Func<HttpContext, string?>? Owner = null);

/// <summary>On a request: its answer must not be kept for repetitions, though its status says that it succeeded.</summary>
internal sealed class AnswerNotKept;

/// <summary>On a request that holds its key: what it makes has the same ids however often it is carried out.</summary>
/// <param name="Seed">The key and whose it is.</param>
/// <param name="Since">When the key was claimed first.</param>
internal sealed record IdempotentRequest(string Seed, DateTimeOffset Since);

/// <summary>Declares endpoints idempotent under a client's key.</summary>
public static class IdempotencyExtensions
{
    /// <summary>
    /// Honours <c>Idempotency-Key</c>: one execution per tenant and key; equal requests get the first one's answer, others 409.
    /// Endpoints that start runs do it themselves, since a run outlives its request.
    /// </summary>
    public static TBuilder Idempotent<TBuilder>(this TBuilder builder, Func<HttpContext, string?>? owner = null) where TBuilder : IEndpointConventionBuilder
    {
        builder.Add(endpoint => endpoint.Metadata.Add(new IdempotentEndpoint(owner)));
        return builder;
    }

    /// <summary>The answer failed after its status had gone out: a repetition of the request is to be carried out anew.</summary>
    public static void DoNotKeepAnswer(this HttpContext context) => context.Features.Set(new AnswerNotKept());

    /// <summary>
    /// An id for what the request makes. Under an <c>Idempotency-Key</c> a repetition gets the same one: a process may end between what the request did and
    /// the note that it did it, and the repetition must then find it done.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="prefix">Names the kind; once for each thing that a request makes.</param>
    /// <param name="now">The time now.</param>
    public static string NewId(this HttpContext context, string prefix, DateTimeOffset now) =>
        context.Features.Get<IdempotentRequest>() is { } request ? Ids.Of(prefix, request.Since, request.Seed) : Ids.New(prefix, now);

    /// <summary>The client's key, or null when it sent none.</summary>
    /// <exception cref="ApiException">400: the key is longer than 255 characters or not printable ASCII.</exception>
    public static string? IdempotencyKey(this HttpRequest request)
    {
        string? key = request.Headers["Idempotency-Key"];
        if (string.IsNullOrEmpty(key)) return null;
        if (key.Length > 255 || key.AsSpan().IndexOfAnyExceptInRange(' ', '~') >= 0)
            throw new ApiException(400, ErrorCodes.ValidationFailed, "'Idempotency-Key' must be at most 255 printable ASCII characters.", "Idempotency-Key");
        return key;
    }
}

/// <summary>Runs an idempotent endpoint once per tenant and key. Answers of status 5xx, 408, 409 and 429 are not kept: a repetition may do better.</summary>
internal sealed class IdempotencyMiddleware(RequestDelegate next, IIdempotencyStore store, IOptions<LimitsOptions> limits)
{
    private readonly TimeSpan _bodyLimit = TimeSpan.FromSeconds(limits.Value.RequestTimeoutSeconds);
    private const int MaxStoredBytes = 16 * 1024 * 1024;

    // Above this an answer is worth sending as it comes.
    private const int MaxHeldBytes = 1024 * 1024;

    public Task InvokeAsync(HttpContext context)
    {
        if (context.Request.Headers["Idempotency-Key"].Count == 0 || context.GetEndpoint()?.Metadata.GetMetadata<IdempotentEndpoint>() is not { } endpoint)
            return next(context);
        if (context.Request.IdempotencyKey() is not { } key) return next(context);
        if (endpoint.Owner is { } owner) return owner(context) is { } name ? ExecuteAsync(context, key, name, name) : next(context);
        Caller caller = context.GetCaller();
        return ExecuteAsync(context, key, caller.TenantId, caller.ApiKeyId ?? caller.UserId);
    }

    private async Task ExecuteAsync(HttpContext context, string key, string tenantId, string? author)
    {
        using var body = new MemoryStream();
        await ReadBodyAsync(context, body);
        string hash = Hash(author, context.Request, body);
        switch (await store.ClaimAsync(tenantId, key, hash, context.RequestAborted))
        {
            case ClaimOutcome.Granted(var since):
                context.Features.Set(new IdempotentRequest($"{tenantId}\n{key}", since));
                break;
            case ClaimOutcome.Mismatch:
                await ErrorWriter.WriteAsync(context, 409, ErrorCodes.IdempotencyKeyReused, "This Idempotency-Key was used with a different request. Use a new key for a new request.");
                return;
            case ClaimOutcome.Replay({ Status: StoredResponse.TooLarge }):
                await ErrorWriter.WriteAsync(context, 409, ErrorCodes.IdempotencyAnswerTooLarge, "This request was carried out; its answer was too large to be kept and cannot be repeated.");
                return;
            case ClaimOutcome.Replay(var stored):
                context.Response.StatusCode = stored.Status;
                context.Response.ContentType = stored.ContentType;
                if (stored.Location is not null) context.Response.Headers.Location = stored.Location;
                context.Response.Headers["Idempotency-Replayed"] = "true";
                await context.Response.Body.WriteAsync(stored.Body, context.RequestAborted);
                return;
        }

        body.Position = 0;
        Stream originalRequest = context.Request.Body, originalResponse = context.Response.Body;
        using var answer = new AnswerStream(context.Response, originalResponse, MaxHeldBytes, MaxStoredBytes);
        CancellationToken clientLeft = context.RequestAborted;
        context.Request.Body = body;
        context.Response.Body = answer;
        // From here on the request runs to its end even if the client leaves: it will come back and ask for the answer.
        context.RequestAborted = CancellationToken.None;
        bool answered = false, refused = false;
        try
        {
            await next(context);
            await context.Response.BodyWriter.FlushAsync();
            answered = context.Response.StatusCode is < 500 and not (408 or 409 or 429 or 499) && context.Features.Get<AnswerNotKept>() is null;
        }
        catch (Exception e) when (e is ApiException { Status: < 500 } or BadHttpRequestException)
        {
            refused = true;
            throw;
        }
        finally
        {
            context.Request.Body = originalRequest;
            context.Response.Body = originalResponse;
            context.RequestAborted = clientLeft;
            // Also when the client has left: what was done must not be done again. And before it has the answer: one that cannot be kept would be another at its repetition.
            if (answered)
                await store.CompleteAsync(tenantId, key, answer.Copy is { } copy
                    ? new StoredResponse(context.Response.StatusCode, context.Response.ContentType, context.Response.Headers.Location, copy.ToArray())
                    : new StoredResponse(StoredResponse.TooLarge, null, null, []));
            else
                await store.ReleaseAsync(tenantId, key, mayHaveActed: !refused && context.Response.StatusCode is < 400 or >= 500);
        }
        await answer.LetGoAsync(clientLeft);
    }

    private async Task ReadBodyAsync(HttpContext context, MemoryStream body)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(_bodyLimit);
        try
        {
            await context.Request.Body.CopyToAsync(body, limit.Token);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new BadHttpRequestException("The body arrived too slowly.", StatusCodes.Status408RequestTimeout);
        }
    }

    private static string Hash(string? author, HttpRequest request, MemoryStream body)
    {
        // The caller is part of it: an answer may hold a secret, and is for nobody but the one who asked first.
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{author} {request.Method} {request.Path}{request.QueryString}\n"));
        hash.AppendData(body.GetBuffer().AsSpan(0, (int)body.Length));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
