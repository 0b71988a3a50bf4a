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
internal sealed class IdempotencyMiddleware(RequestDelegate next, IdempotencyStore store, IOptions<LimitsOptions> limits)
{
    private readonly TimeSpan _bodyLimit = TimeSpan.FromSeconds(limits.Value.RequestTimeoutSeconds);
    private const int MaxStoredBytes = 16 * 1024 * 1024;

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
        using var tee = new TeeStream(originalResponse, MaxStoredBytes);
        CancellationToken clientLeft = context.RequestAborted;
        context.Request.Body = body;
        context.Response.Body = tee;
        // From here on the request runs to its end even if the client leaves: it will come back and ask for the answer.
        context.RequestAborted = CancellationToken.None;
        bool answered = false;
        try
        {
            await next(context);
            await context.Response.BodyWriter.FlushAsync();
            answered = context.Response.StatusCode is < 500 and not (408 or 409 or 429 or 499) && context.Features.Get<AnswerNotKept>() is null;
        }
        finally
        {
            context.Request.Body = originalRequest;
            context.Response.Body = originalResponse;
            context.RequestAborted = clientLeft;
            // Also when the client has left: what was done must not be done again.
            if (answered)
                await store.CompleteAsync(tenantId, key, tee.Copy is { } copy
                    ? new StoredResponse(context.Response.StatusCode, context.Response.ContentType, context.Response.Headers.Location, copy.ToArray())
                    : new StoredResponse(StoredResponse.TooLarge, null, null, []));
            else
                await store.ReleaseAsync(tenantId, key);
        }
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
