import 'reflect-metadata'
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpCode,
  type INestApplication,
  Module,
  Post,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { Request, Response } from 'express'
import {
  byIp,
  byUser,
  firstOf,
  Limit,
  RateLimitExceeded,
  RateThrottleModule,
  type RateThrottleModuleOptions,
} from 'ratethrottle/nest'

@Controller('api')
class ApiController {
  // Public endpoints: strict limits
  @Get('public')
  @Limit('100/minute')
  publicData(): object {
    return { data: 'public' }
  }

  // Authenticated endpoints: higher limits
  @Get('protected')
  @Limit('1000/minute')
  protectedData(): object {
    return { data: 'protected' }
  }

  // Expensive operations: very strict
  @Post('report')
  @HttpCode(200)
  @Limit(['10/minute', '50/hour'])
  report(): object {
    return { status: 'processing' }
  }
}

/** The answer to a refusal: without it Nest answers with `statusCode`, `code`, `error` and `message`. */
@Catch(RateLimitExceeded)
class TooManyRequests implements ExceptionFilter {
  catch(error: RateLimitExceeded, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>()
    response.status(429).json({ error: 'Rate limit exceeded', retry_after: error.retryAfter })
  }
}

/**
 * The complete example of RateThrottle's Flask page, as a Nest application.
 *
 * @param options in place of those below, such as a test's clock
 */
export async function buildService(
  options: RateThrottleModuleOptions = {},
): Promise<INestApplication> {
  const limits = RateThrottleModule.forRoot({
    // The counters are in this process, unless RATELIMIT_STORAGE_URL says where else.
    key: firstOf(byUser(userOf), byIp()),
    // The exact log, as on that page: leave it out for the default, a token bucket, which needs less memory.
    algorithm: 'sliding-log',
    ...options,
  })

  @Module({ imports: [limits], controllers: [ApiController] })
  class AppModule {}

  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
  app.useGlobalFilters(new TooManyRequests())
  return app
}

/** Users that this service knows. */
const USERS: ReadonlySet<string> = new Set(['ada', 'bob', 'eve'])

/** A demonstration: a real service takes the user from a session or a token that it has verified. */
function userOf(request: Request): string | undefined {
  const name = request.get('x-user')
  return name !== undefined && USERS.has(name) ? name : undefined
}

// As a program, by the name of this file: PORT=3000 node nest.js
if (/\bnest\.[cm]?[jt]s$/.test(process.argv[1] ?? '')) {
  const { PORT = 3000 } = process.env
  void buildService().then((app) => app.listen(Number(PORT)))
}
