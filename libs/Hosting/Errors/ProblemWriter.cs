using Microsoft.AspNetCore.Http;
using MultiAgent.Hosting.Edge;

namespace MultiAgent.Hosting.Errors;

/// <summary>Writes the problems that endpoints return as <see cref="ErrorWriter"/> writes those that are thrown: with the request's id, and the code in a header.</summary>
internal sealed class ProblemWriter : IProblemDetailsWriter
{
    public bool CanWrite(ProblemDetailsContext context) => true;

    public ValueTask WriteAsync(ProblemDetailsContext context)
    {
        HttpResponse response = context.HttpContext.Response;
        if (context.ProblemDetails.Extensions.TryGetValue("code", out object? code) && code is string text) response.Headers[ErrorWriter.CodeHeader] = text;
        context.ProblemDetails.Extensions["requestId"] = context.HttpContext.GetRequestId();
        return new(response.WriteAsJsonAsync(context.ProblemDetails, options: null, contentType: "application/problem+json; charset=utf-8", context.HttpContext.RequestAborted));
    }
}
